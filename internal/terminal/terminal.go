// Package terminal writes to terminals. A Writer keeps text from controlling the terminal; a Status is a progress line that fits
// the terminal's width.
//
// Everything that a command prints goes through a Writer: text from models, file names, prompts, answers of servers. On a
// terminal their control characters are made visible and have no effect. A pipe or a file gets all bytes unchanged.
package terminal

import (
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/term"
)

// Writer writes text, and on a terminal makes control characters visible. It is not safe for concurrent use.
type Writer struct {
	w        io.Writer
	terminal bool
	over     bool       // lines can be overwritten
	size     func() int // the number of columns; 0: unknown
	held     []byte     // the beginning of an incomplete character
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

// Write writes text. It returns len(p), or 0 and an error.
func (t *Writer) Write(p []byte) (int, error) {
	if !t.terminal {
		return t.w.Write(p)
	}
	text := append(t.held, p...)
	whole := len(text) - unfinished(text)
	_, err := t.w.Write(appendVisible(nil, text[:whole]))
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
	_, err := t.w.Write(rest)
	return err
}

// control writes text with control sequences, unchanged.
func (t *Writer) control(text string) error {
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(t.w, text)
	return err
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
