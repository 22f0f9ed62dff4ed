// Package interruptible reads from what may wait, such as a terminal or a pipe, until a context ends.
package interruptible

import (
	"context"
	"io"
)

// Reader returns a reader of in that returns the error of ctx as soon as ctx ends, even while in waits. What in reads after
// that is lost.
func Reader(ctx context.Context, in io.Reader) io.Reader { return &reader{ctx: ctx, in: in} }

type reader struct {
	ctx context.Context
	in  io.Reader
	buf []byte // in reads into it, since the caller's memory is the caller's again when Read returns
}

func (r *reader) Read(p []byte) (n int, err error) {
	if len(r.buf) < len(p) {
		r.buf = make([]byte, len(p))
	}
	type result struct {
		n   int
		err error
	}
	buf, done := r.buf[:len(p)], make(chan result, 1)
	go func() {
		n, err := r.in.Read(buf)
		done <- result{n, err}
	}()
	select {
	case d := <-done:
		return copy(p, buf[:d.n]), d.err
	case <-r.ctx.Done():
		r.buf = nil // it may still be written to
		return 0, r.ctx.Err()
	}
}
