package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/calm-go/calm/internal/terminal"
)

// output is standard output that keeps its first error. Commands need not check each write: execute checks once, at the end.
// After an error all writes return it.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	var n int
	n, o.err = o.w.Write(p)
	return n, o.err
}

// terminal reports whether the output goes to a terminal.
func (o *output) terminal() bool {
	w, ok := o.w.(*terminal.Writer)
	return ok && w.Terminal()
}

// failed returns the error of a command: err, which may be nil, or the error of its output.
func (o *output) failed(err error) error {
	if o.err != nil && (err == nil || errors.Is(err, o.err)) {
		return fmt.Errorf("the output is lost: %w", o.err)
	}
	return err
}
