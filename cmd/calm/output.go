package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/calm-go/calm/internal/terminal"
)

// output is standard output that keeps its first error. Commands need not check each write: execute checks once, at the end.
// After an error all writes return it. Control characters are made visible.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) { return o.through(o.w, p) }

// through writes to w, which leads to the same output.
func (o *output) through(w io.Writer, p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	var n int
	n, o.err = w.Write(p)
	return n, o.err
}

// terminal reports whether the output goes to a terminal.
func (o *output) terminal() bool {
	w, ok := o.w.(*terminal.Writer)
	return ok && w.Terminal()
}

// exactOutput is output whose bytes reach a pipe or a file unchanged.
type exactOutput struct{ *output }

func (o exactOutput) Write(p []byte) (int, error) {
	if t, ok := o.w.(*terminal.Writer); ok {
		return o.through(t.Exact(), p)
	}
	return o.through(o.w, p)
}

// exactOut returns a command's standard output for what other programs read: generated text, ids, JSON.
func exactOut(cmd *cobra.Command) io.Writer {
	if o, ok := cmd.OutOrStdout().(*output); ok {
		return exactOutput{o}
	}
	return cmd.OutOrStdout()
}

// failed returns the error of a command: err, which may be nil, or the error of its output.
func (o *output) failed(err error) error {
	if o.err != nil && (err == nil || errors.Is(err, o.err)) {
		return fmt.Errorf("the output is lost: %w", o.err)
	}
	return err
}
