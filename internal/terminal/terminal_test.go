package terminal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/mattn/go-runewidth"
	"pgregory.net/rapid"

	"github.com/calm-go/calm/internal/testkit"
)

// on returns a writer whose terminal is the screen.
func on(s *testkit.Screen) *Writer {
	return &Writer{w: s, terminal: true, over: true, size: func() int { return s.Columns() }}
}

// parts are the parts of a progress line of training.
var parts = []string{"step 12345/15000", "loss 12.345", "1h2m3s left", "1234 tokens/s", "energy loss 12.345", "鯨の大きさ 3", "token brier 1 23.456", "gradient norm 1.234"}

// TestFit: at every width the line fits, the most important parts come first, and no part is left out that fits.
func TestFit(t *testing.T) {
	for columns := 1; columns <= 220; columns++ {
		line := fit(columns, "   language model", parts)
		if w := runewidth.StringWidth(line); w > columns {
			t.Errorf("%d columns: %d in %q", columns, w, line)
		}
		_, rest, titled := strings.Cut(line, "language model ")
		if !titled {
			rest = line
		}
		shown := strings.Split(rest, "  ")
		for i, part := range shown {
			if part != parts[i] && columns >= len(parts[0]) {
				t.Errorf("%d columns: part %d is %q", columns, i, part)
			}
		}
		if n := len(shown); n < len(parts) && runewidth.StringWidth(line+"  "+parts[n]) <= columns {
			t.Errorf("%d columns: there is room for %q after %q", columns, parts[n], line)
		}
		if titled != (columns >= len("   language model ")+len(strings.Join(parts[:3], "  "))) {
			t.Errorf("%d columns: title %v: %q", columns, titled, line)
		}
	}
	if got := fit(30, "鯨鯨鯨", nil); got != "鯨鯨鯨" {
		t.Errorf("a title alone: %q", got)
	}
	if got := fit(5, "鯨鯨鯨", nil); got != "鯨鯨" {
		t.Errorf("a title that is cut: %q", got)
	}
	if got := fit(80, "", []string{"a\tb\nc\rd\x1b[2J"}); got != "a b c␍d␛[2J" {
		t.Errorf("a part that would move the cursor: %q", got)
	}
}

// TestStatus: at every width, after many updates, there is one progress line below the permanent lines.
func TestStatus(t *testing.T) {
	for columns := 20; columns <= 200; columns++ {
		s := testkit.NewScreen(columns, true)
		status := NewStatus(on(s))
		for i := range 5 {
			status.Show("training", parts[:len(parts)-i%3]...)
			checkLine(t, s, nil)
		}
		status.Print("held out")
		status.Show("training", parts...)
		checkLine(t, s, []string{"held out"})
		status.End()
		if rows := s.Rows(); len(rows) != 1 {
			t.Fatalf("%d columns: in the end there is %q", columns, rows)
		}
	}
}

// TestStatusResized does the same while the width changes. On a terminal that reflows lines, all rows are checked. On one that
// cuts lines off, rows above may be lost.
func TestStatusResized(t *testing.T) {
	for _, reflows := range []bool{true, false} {
		rapid.Check(t, func(rt *rapid.T) {
			s := testkit.NewScreen(rapid.IntRange(20, 200).Draw(rt, "columns"), reflows)
			status := NewStatus(on(s))
			var stay []string
			for range rapid.IntRange(1, 12).Draw(rt, "actions") {
				switch rapid.IntRange(0, 3).Draw(rt, "action") {
				case 0:
					s.Resize(rapid.IntRange(20, 200).Draw(rt, "columns"))
				case 1:
					line := "held out " + string(rune('a'+len(stay)))
					status.Print(line)
					stay = append(stay, line)
				default:
					status.Show("training", parts[:rapid.IntRange(1, len(parts)).Draw(rt, "parts")]...)
					if reflows {
						checkLine(t, s, stay)
					} else if n := strings.Count(strings.Join(s.Rows(), "\n"), "step "); n != 1 {
						t.Fatalf("%d lines in %q", n, s.Rows())
					}
				}
			}
			status.End()
			if all := strings.Join(s.Rows(), "\n"); strings.Contains(all, "step ") || reflows && all != strings.Join(stay, "\n") {
				t.Fatalf("in the end there is %q, want %q", all, stay)
			}
		})
	}
}

// checkLine checks that the screen has the permanent lines and one more, which is shorter than a row.
func checkLine(t *testing.T, s *testkit.Screen, stay []string) {
	t.Helper()
	rows := s.Rows()
	if len(rows) != len(stay)+1 {
		t.Fatalf("%d columns: %q below %q", s.Columns(), rows, stay)
	}
	for i, line := range stay {
		if rows[i] != line {
			t.Fatalf("%d columns: row %d is %q, want %q", s.Columns(), i, rows[i], line)
		}
	}
	if last := rows[len(stay)]; runewidth.StringWidth(last) >= s.Columns() || !strings.Contains(last, "step ") {
		t.Fatalf("%d columns: %q", s.Columns(), last)
	}
}

// TestStatusInFile: in a file, every update is a line.
func TestStatusInFile(t *testing.T) {
	var b bytes.Buffer
	s := NewStatus(&b)
	s.Show("ae", "step 1", "loss 2")
	s.Print("held out")
	s.End()
	if got := b.String(); s.Over() || got != "ae step 1  loss 2\nheld out\n" {
		t.Errorf("%q", got)
	}
}

// TestVisible: no control character is left, whatever the text and the pieces it is written in. Text without control characters
// is unchanged.
func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"Call me Ishmael.\n\tÜber 鯨 🐋": "Call me Ishmael.\n\tÜber 鯨 🐋",
		"\x1b[2J\x07\r\x7f\x00":        "␛[2J␇␍␡␀",
		"\u009b2J \x9b2J \xf0\x9f":     `\x9b2J \x9b2J \xf0\x9f`,
		"\u202etxt.exe\u2066":          `\u202etxt.exe\u2066`,
		"\ufffd":                       "\ufffd",
	} {
		if got := Visible(text); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.SliceOf(rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("\x1b\x9b\xc2[2J\n")))).Draw(rt, "text")
		var b, pipe, exact, screen bytes.Buffer
		w, piped := &Writer{w: &b, terminal: true}, New(&pipe)
		onScreen := &Writer{w: &screen, terminal: true}
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "n")
			for _, to := range []io.Writer{w, piped, New(&exact).Exact(), onScreen.Exact()} {
				if m, err := to.Write(rest[:n]); m != n || err != nil {
					t.Fatalf("%d of %d bytes, %v", m, n, err)
				}
			}
			rest = rest[n:]
		}
		for to, got := range map[*Writer]*bytes.Buffer{w: &b, piped: &pipe, onScreen: &screen} {
			if err := to.Flush(); err != nil {
				t.Fatal(err)
			}
			if want := Visible(string(text)); got.String() != want {
				t.Fatalf("%q in pieces gives %q, in one %q", text, got, want)
			}
		}
		for _, r := range b.String() {
			if r != '\n' && r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0) {
				t.Fatalf("%q in %q", r, b.String())
			}
		}
		if !bytes.Equal(exact.Bytes(), text) {
			t.Fatalf("a pipe got %q of %q", &exact, text)
		}
	})
}

// TestNew: a file is not a terminal.
func TestNew(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if New(f).Terminal() || New(&bytes.Buffer{}).Terminal() {
		t.Error("a file is a terminal")
	}
}

// TestOnError: the function gets the error of every way of writing.
func TestOnError(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	to, failed := New(w), 0
	to.OnError(func(err error) {
		if !errors.Is(err, syscall.EPIPE) {
			t.Error(err)
		}
		failed++
	})
	for i, write := range []func() (int, error){
		func() (int, error) { return to.Write([]byte("a")) }, func() (int, error) { return to.Exact().Write([]byte("a")) }, func() (int, error) { return 0, to.control("a") },
	} {
		if n, err := write(); n != 0 || err == nil || failed != i+1 {
			t.Errorf("%d: %d, %v, %d errors", i, n, err, failed)
		}
	}
}
