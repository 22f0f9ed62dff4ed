package terminal

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Status is a progress line on a terminal, which is overwritten again and again. Other lines can be written above it. Where the
// output is not a terminal, every update is a new line.
type Status struct {
	to    *Writer
	width int // columns of the present line; 0: there is none
}

// essential is the number of parts of a line that matter more than its title.
const essential = 3

// NewStatus returns a progress line on w. If w is not a Writer, it makes one.
func NewStatus(w io.Writer) *Status {
	t, ok := w.(*Writer)
	if !ok {
		t = New(w)
	}
	return &Status{to: t}
}

// Over reports whether the line is overwritten, so that updates need no new lines.
func (s *Status) Over() bool { return s.to.over }

// Show updates the line. It has a title, which may be empty, and parts in the order of their importance. Parts that do not fit
// the terminal's width are left out, and so is a title that leaves no room for the first three parts.
func (s *Status) Show(title string, parts ...string) {
	if !s.to.over {
		fmt.Fprintln(s.to, join(title, parts))
		return
	}
	columns := s.to.columns()
	line := fit(columns-1, title, parts) // after a full line, the cursor may be in the next one
	_ = s.to.control(s.back(columns) + line + "\x1b[K")
	s.width = runewidth.StringWidth(line)
}

// Print writes a permanent line above the progress line.
func (s *Status) Print(line string) {
	s.End()
	fmt.Fprintln(s.to, line)
}

// End removes the line.
func (s *Status) End() {
	if s.width > 0 {
		_ = s.to.control(s.back(s.to.columns()) + "\x1b[K")
		s.width = 0
	}
}

// back returns the control sequence that moves the cursor to the beginning of the line. In a window that became narrower, the
// line has several rows. On a terminal that cuts lines off instead, rows above the line are lost.
func (s *Status) back(columns int) string {
	if rows := (s.width + columns - 1) / columns; rows > 1 {
		return fmt.Sprintf("\x1b[%dA\r\x1b[J", rows-1)
	}
	return "\r"
}

// fit joins the title and as many parts as fit into that many columns.
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

// join returns a line with a title and parts.
func join(title string, parts []string) string {
	line := strings.Join(parts, "  ")
	if title != "" && line != "" {
		title += " "
	}
	return title + line
}

// flat returns text on one line, without control characters.
func flat(text string) string {
	return Visible(strings.NewReplacer("\n", " ", "\t", " ").Replace(text))
}
