package testkit

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/mattn/go-runewidth"
)

// Screen is a simulated terminal of unlimited height. It interprets the control sequences that calm writes, and panics on
// others.
type Screen struct {
	columns int
	reflows bool     // on a new width, long lines are wrapped again; else they are cut off
	lines   [][]rune // a wide character is followed by a 0
	line    int      // the cursor's line
	at      int      // the cursor's cell in the line
	full    bool     // the cursor is after the last cell of a row: the next character begins a new row
}

var sequence = regexp.MustCompile(`^\x1b\[([0-9]*)([AKJ])`)

// NewScreen returns an empty screen with that many columns. On a new width, a screen that reflows wraps its lines again, as most
// terminals do; others cut them off.
func NewScreen(columns int, reflows bool) *Screen {
	return &Screen{columns: columns, reflows: reflows, lines: [][]rune{nil}}
}

// Columns returns the screen's width.
func (s *Screen) Columns() int { return s.columns }

// Write writes text and control sequences.
func (s *Screen) Write(p []byte) (int, error) {
	text := string(p)
	for text != "" {
		if m := sequence.FindStringSubmatch(text); m != nil {
			s.obey(m[1], m[2])
			text = text[len(m[0]):]
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		switch {
		case r == '\r':
			s.at -= s.column()
			s.full = false
		case r == '\n': // as terminals get it, with \r
			s.line, s.at, s.full = s.line+1, 0, false
			if s.line == len(s.lines) {
				s.lines = append(s.lines, nil)
			}
		case r < ' ' || r == 0x7f:
			panic(fmt.Sprintf("testkit: a control character %q in %q", r, p))
		default:
			s.put(r)
		}
	}
	return len(p), nil
}

// column returns the cursor's column in its row.
func (s *Screen) column() int {
	if s.full {
		return s.columns
	}
	return s.at % s.columns
}

func (s *Screen) put(r rune) {
	for range runewidth.RuneWidth(r) {
		l := &s.lines[s.line]
		for len(*l) <= s.at {
			*l = append(*l, ' ')
		}
		(*l)[s.at] = r
		r = 0
		s.at++
	}
	s.full = s.at%s.columns == 0
}

func (s *Screen) obey(number, what string) {
	n := 1
	fmt.Sscan(number, &n)
	l := &s.lines[s.line]
	switch what {
	case "A":
		for range n {
			switch {
			case s.at >= s.columns:
				s.at -= s.columns
			case s.line > 0:
				column := s.at
				s.line--
				s.at = max(0, len(s.lines[s.line])-1)/s.columns*s.columns + column
			}
		}
	case "J":
		s.lines = s.lines[:s.line+1]
		*l = (*l)[:min(s.at, len(*l))]
	case "K":
		end := s.at - s.column() + s.columns
		if len(*l) <= end {
			*l = (*l)[:min(s.at, len(*l))]
			return
		}
		for i := s.at; i < end; i++ {
			(*l)[i] = ' '
		}
	}
}

// Resize changes the screen's width.
func (s *Screen) Resize(columns int) {
	s.columns = columns
	if s.reflows {
		s.full = s.at > 0 && s.at%columns == 0 && s.at == len(s.lines[s.line])
		return
	}
	for i, l := range s.lines {
		s.lines[i] = l[:min(columns, len(l))]
	}
	s.at = min(s.at, columns-1)
	s.full = false
}

// Rows returns the visible rows, without empty rows at the end.
func (s *Screen) Rows() []string {
	var rows []string
	for _, l := range s.lines {
		for {
			n := min(s.columns, len(l))
			rows = append(rows, strings.TrimRight(strings.ReplaceAll(string(l[:n]), "\x00", ""), " "))
			if l = l[n:]; len(l) == 0 {
				break
			}
		}
	}
	for len(rows) > 0 && rows[len(rows)-1] == "" {
		rows = rows[:len(rows)-1]
	}
	return rows
}
