package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"github.com/calm-go/calm/internal/terminal"
)

// TestConversation checks the loop: lines without their ends, in order; errors are shown and do not end it.
func TestConversation(t *testing.T) {
	var (
		out, errOut bytes.Buffer
		lines       []string
	)
	talk := conversation{in: strings.NewReader("one\n\ntwo\r\nbad\n three \nlast"), out: &out, errOut: &errOut, prompt: func() string { return "> " },
		answer: func(_ context.Context, line string) error {
			lines = append(lines, line)
			if line == "bad" {
				return errors.New("no answer")
			}
			out.WriteString("answer\n")
			return nil
		}}
	if err := talk.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"one", "", "two", "bad", " three ", "last"}; !slices.Equal(lines, want) {
		t.Errorf("lines %q, want %q", lines, want)
	}
	if got, want := out.String(), "> answer\n> answer\n> answer\n> > answer\n> answer\n> \n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := errOut.String(); got != "calm: no answer\n" {
		t.Errorf("%q", got)
	}
}

// TestConversationInterrupted checks that an interrupt ends an answer and not the loop, also where a line is expected, and
// that the end of the context ends the loop.
func TestConversationInterrupted(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	in, typed := io.Pipe()
	interrupts := make(chan os.Signal, 1)
	began, ended := make(chan string), make(chan error, 1)
	var out, errOut bytes.Buffer
	talk := conversation{in: in, out: &out, errOut: &errOut, interrupts: interrupts, prompt: func() string { return "> " },
		answer: func(ctx context.Context, line string) error {
			began <- line
			<-ctx.Done()
			out.WriteString("cut\n")
			return ctx.Err()
		}}
	go func() { ended <- talk.run(ctx) }()
	for _, line := range []string{"a", "b"} {
		if _, err := io.WriteString(typed, line+"\n"); err != nil {
			t.Fatal(err)
		}
		if got := <-began; got != line {
			t.Fatalf("%q is answered", got)
		}
		interrupts <- os.Interrupt
	}
	if _, err := io.WriteString(typed, "c\n"); err != nil {
		t.Fatal(err)
	}
	<-began
	end()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if got, want := out.String(), "> cut\n> cut\n> cut\n\n"; got != want || errOut.Len() > 0 {
		t.Errorf("%q, want %q; %q", got, want, &errOut)
	}
}

// terminalSession is calm in a process of its own, on a terminal of its own.
type terminalSession struct {
	t      *testing.T
	cmd    *exec.Cmd
	screen *os.File
	seen   strings.Builder // since the last until
}

func startOnTerminal(t *testing.T, args ...string) *terminalSession {
	t.Helper()
	s := &terminalSession{t: t, cmd: calmProcess(t, args...)}
	var err error
	if s.screen, err = pty.Start(s.cmd); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { s.screen.Close() })
	return s
}

// until reads the terminal until something is on it, and returns what came, that included.
func (s *terminalSession) until(want string) string {
	s.t.Helper()
	for b := make([]byte, 1); !strings.HasSuffix(s.seen.String(), want); {
		if _, err := s.screen.Read(b); err != nil {
			s.t.Fatalf("%v; the terminal shows %q, want %q", err, &s.seen, want)
		}
		s.seen.WriteByte(b[0])
	}
	got := s.seen.String()
	s.seen.Reset()
	return got
}

func (s *terminalSession) enter(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.screen, text); err != nil {
		s.t.Fatal(err)
	}
}

// status waits for the end of the process.
func (s *terminalSession) status() int {
	s.t.Helper()
	go func() { _, _ = io.Copy(io.Discard, s.screen) }()
	if err := s.cmd.Wait(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			s.t.Fatal(err)
		}
	}
	return s.cmd.ProcessState.ExitCode()
}

// TestTypedLines types on a real terminal: a line gives what --prompt gives, Ctrl-C ends a text, Ctrl-D calm.
func TestTypedLines(t *testing.T) {
	r := tinyRuns(t)
	write := func(seed string) string {
		out := must(t, "generate", r.lm, "--prompt", "the whale", "--max-tokens", "8", "--seed", seed, "--echo=false").out
		return strings.ReplaceAll(terminal.Visible(out), "\n", "\r\n")
	}
	s := startOnTerminal(t, "generate", r.lm, "--max-tokens", "8", "--seed", "5")
	s.until("Ctrl-D ends calm.\r\nseed 5> ")
	for i, seed := range []string{"5", "6", "7"} {
		s.enter("the whale\n")
		s.until("the whale\r\n") // the terminal's echo
		next := "seed " + string('6'+rune(i)) + "> "
		if got, want := s.until(next), write(seed)+next; got != want {
			t.Errorf("seed %s: the terminal shows %q, want %q", seed, got, want)
		}
	}
	s.enter("\x03")
	s.until("calm: Ctrl-D ends calm\r\nseed 8> ")
	s.enter("\x04")
	if got := s.status(); got != exitDone {
		t.Errorf("status %d", got)
	}

	s = startOnTerminal(t, "generate", r.lm, "--max-tokens", "100000000")
	s.until("seed 0> ")
	for _, next := range []string{"seed 1> ", "seed 2> "} {
		s.enter("the whale\n")
		s.until("the whale\r\n")
		text := make([]byte, 1)
		if _, err := s.screen.Read(text); err != nil { // it has begun
			t.Fatal(err)
		}
		s.enter("\x03")
		s.until(next) // the terminal shows ^C somewhere before it
	}
	s.enter("\x04")
	if got := s.status(); got != exitDone {
		t.Errorf("status %d", got)
	}

	s = startOnTerminal(t, "generate", r.lm)
	s.until("seed 0> ")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := s.status(); got != exitInterrupted {
		t.Errorf("terminated: status %d", got)
	}

	s = startOnTerminal(t, "generate", r.lm, "--context-full", "halt")
	if s.until("\r\n"); s.status() != exitUsage {
		t.Error("a bad option is found after the first line")
	}
	s = startOnTerminal(t, "generate", r.lm, "--prompt", "", "--max-tokens", "4")
	if s.until("\r\n"); s.status() != exitDone {
		t.Error("an empty prompt is no prompt")
	}
}
