package terminal

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Status is a line that is written over again and again: where work stands. Other lines may be written above it. Where
// nobody watches, each is a line of its own.
type Status struct {
	to    *Writer
	width int // columns of the line that stands there; 0 for none
}

// essential is how many parts of a line are worth more than its title.
const essential = 3

// NewStatus returns a line on w, a Writer or what one is made of.
func NewStatus(w io.Writer) *Status {
	t, ok := w.(*Writer)
	if !ok {
		t = New(w)
	}
	return &Status{to: t}
}

// Over reports whether the line is written over, and costs no room.
func (s *Status) Over() bool { return s.to.over }

// Show writes the line anew: a title, which may be empty, and parts in the order of their importance. As many of the
// parts stand there as the terminal's width has room for, and the title where it leaves room for the first three.
func (s *Status) Show(title string, parts ...string) {
	if !s.to.over {
		fmt.Fprintln(s.to, join(title, parts))
		return
	}
	columns := s.to.columns()
	line := fit(columns-1, title, parts) // a full line would end in the next one
	_ = s.to.control(s.back(columns) + line + "\x1b[K")
	s.width = runewidth.StringWidth(line)
}

// Print writes a line that stays, above the one that is written over.
func (s *Status) Print(line string) {
	s.End()
	fmt.Fprintln(s.to, line)
}

// End takes the line away.
func (s *Status) End() {
	if s.width > 0 {
		_ = s.to.control(s.back(s.to.columns()) + "\x1b[K")
		s.width = 0
	}
}

// back brings the cursor to where the line begins. A window that has become narrower shows it in several rows; a terminal
// that cuts lines off instead loses as many rows above it.
func (s *Status) back(columns int) string {
	if rows := (s.width + columns - 1) / columns; rows > 1 {
		return fmt.Sprintf("\x1b[%dA\r\x1b[J", rows-1)
	}
	return "\r"
}

// fit joins what fits into so many columns.
func fit(columns int, title string, parts []string) string {
	columns = max(columns, 1)
	title = flat(title)
	if title != "" && runewidth.StringWidth(join(title, parts[:min(essential, len(parts))])) > columns {
		if len(parts) > 0 {
			title = ""
		}
	}
	for n := len(parts); n > 0; n-- {
		if line := flat(join(title, parts[:n])); runewidth.StringWidth(line) <= columns {
			return line
		}
	}
	if len(parts) > 0 {
		title = flat(parts[0])
	}
	return runewidth.Truncate(title, columns, "")
}

// join is a line of a title and parts.
func join(title string, parts []string) string {
	line := strings.Join(parts, "  ")
	if title != "" && line != "" {
		title += " "
	}
	return title + line
}

// flat is text that stays in its line and moves no cursor.
func flat(text string) string {
	return Visible(strings.NewReplacer("\n", " ", "\t", " ").Replace(text))
}
