// Package terminal writes for people who watch: text from outside cannot steer their terminal (Writer), and a line of
// progress fits its width (Status).
//
// Everything that a command prints goes through a Writer: what a model wrote, file names, prompts, what a server said. On a
// terminal their control characters are shown instead of obeyed. A pipe or a file gets every byte as it is.
package terminal

import (
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/term"
)

// Writer passes text on, with control characters made visible where it ends in a terminal. It is not safe for use from
// several goroutines at once.
type Writer struct {
	w        io.Writer
	terminal bool
	over     bool       // lines can be written over
	size     func() int // columns, 0 where it does not say
	held     []byte     // the beginning of a character whose end has not been written yet
}

// New returns a writer to w, which is a terminal if it is a file that is one.
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

// Terminal reports whether somebody watches.
func (t *Writer) Terminal() bool { return t.terminal }

// Write writes text. The count is of p's bytes, all of them unless there is an error.
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

// Flush writes what is left of a character that was cut off.
func (t *Writer) Flush() error {
	if len(t.held) == 0 {
		return nil
	}
	rest := appendVisible(nil, t.held)
	t.held = nil
	_, err := t.w.Write(rest)
	return err
}

// control writes text that steers the terminal.
func (t *Writer) control(text string) error {
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(t.w, text)
	return err
}

// columns returns the terminal's width now, which changes when its window does. A terminal that does not say has 80.
func (t *Writer) columns() int {
	if n := t.size(); n > 0 {
		return n
	}
	return 80
}

// unfinished returns how many bytes at the end of text may be the beginning of a character.
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
