// Package terminal writes text for people. A Writer keeps text from outside from controlling a terminal; a Status is a progress line
// that fits the terminal's width.
//
// Everything that a command prints goes through a Writer: file names, names of tensors and keys, prompts, answers of servers. Their
// control characters are made visible and have no effect, also where the output is a file or a pipe, since people look at these in a
// terminal later. Only what another program may read as it is, such as generated text and JSON, reaches a pipe or a file unchanged:
// see Writer.Exact.
package terminal

import (
	"errors"
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/term"
)

// Writer writes text with control characters made visible. It is not safe for concurrent use.
type Writer struct {
	w        io.Writer
	terminal bool
	over     bool        // lines can be overwritten
	size     func() int  // the number of columns; 0: unknown
	held     []byte      // the beginning of an incomplete character
	failed   func(error) // called with each error of w; may be nil
}

// New returns a Writer to w. It treats w as a terminal if w is an *os.File that is one.
func New(w io.Writer) *Writer {
	t := &Writer{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		t.terminal = true
		t.over = os.Getenv("TERM") != "dumb" && prepare(f)
		t.size = func() int {
			n, _, _ := term.GetSize(int(f.Fd()))
			return n
		}
	}
	return t
}

// Terminal reports whether the output is a terminal.
func (t *Writer) Terminal() bool { return t.terminal }

// OnError sets a function that is called with every error of writing.
func (t *Writer) OnError(f func(error)) { t.failed = f }

// put writes bytes unchanged.
func (t *Writer) put(p []byte) error {
	_, err := t.w.Write(p)
	if err != nil && t.failed != nil {
		t.failed(err)
	}
	return err
}

// Write writes text. It returns len(p), or 0 and an error.
func (t *Writer) Write(p []byte) (int, error) {
	text := append(t.held, p...)
	whole := len(text) - unfinished(text)
	err := t.put(appendVisible(nil, text[:whole]))
	t.held = append([]byte(nil), text[whole:]...)
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes the bytes of an incomplete character.
func (t *Writer) Flush() error {
	if len(t.held) == 0 {
		return nil
	}
	rest := appendVisible(nil, t.held)
	t.held = nil
	return t.put(rest)
}

// Exact returns a writer to the same output that changes no byte, except on a terminal.
func (t *Writer) Exact() io.Writer {
	if t.terminal {
		return t
	}
	return exact{t}
}

type exact struct{ *Writer }

func (e exact) Write(p []byte) (int, error) {
	if err := errors.Join(e.Flush(), e.put(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// control writes text with control sequences, unchanged.
func (t *Writer) control(text string) error {
	if err := t.Flush(); err != nil {
		return err
	}
	return t.put([]byte(text))
}

// columns returns the terminal's present width; 80 if it is unknown.
func (t *Writer) columns() int {
	if n := t.size(); n > 0 {
		return n
	}
	return 80
}

// unfinished returns the number of bytes of an incomplete character at the end of text.
func unfinished(text []byte) int {
	for n := 1; n <= min(utf8.UTFMax-1, len(text)); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
