package main

import (
	"errors"
	"fmt"
	"io"
)

// output is standard output that keeps its first error, so that no command has to look after each line whether it could
// be written: execute looks once, at the end. After an error nothing more is tried, and all writes give it.
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

// failed is how a command ended whose own error is err, nil or not: one whose output is lost has failed.
func (o *output) failed(err error) error {
	if o.err != nil && (err == nil || errors.Is(err, o.err)) {
		return fmt.Errorf("the output is lost: %w", o.err)
	}
	return err
}
