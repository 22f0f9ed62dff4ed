package interruptible

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// A reader reads what there is.
func TestReader(t *testing.T) {
	const text = "some text that is read in pieces"
	if err := iotest.TestReader(Reader(t.Context(), strings.NewReader(text)), []byte(text)); err != nil {
		t.Error(err)
	}
}

// A reader that waits returns when the context ends, and stays ended.
func TestReaderEnds(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	r := Reader(ctx, in)
	for range 2 {
		if _, err := r.Read(make([]byte, 8)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}
