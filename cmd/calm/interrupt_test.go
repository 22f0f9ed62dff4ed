package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/run"
)

// TestMessage checks that the message of an interruption says "interrupted", what is saved, and other errors.
func TestMessage(t *testing.T) {
	full := errors.New("write x: no space left on device")
	for want, err := range map[string]error{
		"interrupted":                                   fmt.Errorf("evaluation: batch 1 of 15: %w", context.Canceled),
		"interrupted; the same command goes on":         fmt.Errorf("the download of a/b: %w; the same command goes on", context.Canceled),
		"interrupted\nwrite x: no space left on device": errors.Join(fmt.Errorf("a: %w", context.Canceled), full, fmt.Errorf("b: %w", context.Canceled)),
		full.Error():                                    full,
	} {
		if got := message(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestInterruptedEarly checks that Ctrl-C before any work gives status 130 and the message "interrupted" for all commands, and
// that no file is left.
func TestInterruptedEarly(t *testing.T) {
	r := tinyRuns(t)
	work := t.TempDir()
	t.Chdir(work)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, args := range [][]string{
		{"eval", r.ae}, {"eval", r.lm}, {"eval", r.ar}, {"generate", r.lm, "--prompt", "a"}, {"generate", r.ar, "--ids", "97"},
		trainTiny("ae", "x", r.text), trainTiny("lm", "x", r.text, "--ae", r.ae), trainTiny("ar", "x", r.text),
		{"train", "--resume", r.lm, "--steps", "100"}, {"quickstart", "--out", "x"},
		{"tokenizer", "train", "--out", "x", "--data", r.text}, {"data", "info", r.text}, {"export", r.lm, "x"},
	} {
		root := newRoot()
		root.SetArgs(args)
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		err := root.ExecuteContext(ctx)
		if err == nil || status(err) != exitInterrupted || message(err) != "interrupted" {
			t.Errorf("calm %s: want status 130 and one word: %v", strings.Join(args, " "), err)
		}
		if left, _ := filepath.Glob("*"); len(left) > 0 {
			t.Fatalf("calm %s left %v", strings.Join(args, " "), left)
		}
	}
}

// TestInterruptedReading checks that Ctrl-C ends a command that waits for standard input.
func TestInterruptedReading(t *testing.T) {
	for _, args := range [][]string{{"tokenizer", "encode"}, {"tokenizer", "decode"}, {"generate", "run", "--prompt", "-"}} {
		ctx, stop := context.WithCancel(t.Context())
		in, silent := io.Pipe()
		root := newRoot()
		root.SetArgs(args)
		root.SetIn(in)
		root.SetOut(io.Discard)
		ended := make(chan error)
		go func() { ended <- root.ExecuteContext(ctx) }()
		if _, err := silent.Write([]byte("97")); err != nil { // it is reading
			t.Fatal(err)
		}
		stop()
		if err := <-ended; status(err) != exitInterrupted {
			t.Errorf("calm %s: %v", strings.Join(args, " "), err)
		}
		silent.Close()
	}
}

// stopper is a writer that ends a context when the text written to it has some words in it.
type stopper struct {
	words string
	stop  context.CancelFunc
}

func (s stopper) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.words) {
		s.stop()
	}
	return len(p), nil
}

// TestQuickstartStopped stops the quickstart during and between its trainings. The commands that it then names must do the rest.
func TestQuickstartStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("measures on the whole held-out part of the book")
	}
	for _, c := range []struct {
		at   string // the last output before the stop
		obey bool   // whether to run the commands
		want []string
	}{
		{"autoencoder step 1/", true, []string{"train --resume OUT-ae", "train lm --preset quickstart-flow --ae OUT-ae --out OUT --seed 3 --steps 3"}},
		{"autoencoder step 3, held out", false, []string{"train lm --preset quickstart-flow --ae OUT-ae --out OUT --seed 3 --steps 3"}},
		{"language model step 1/", true, []string{"train --resume OUT"}},
	} {
		ctx, stop := context.WithCancel(t.Context())
		out := filepath.Join(t.TempDir(), "q")
		var said bytes.Buffer
		root, seen := newRoot(), stopper{c.at, stop}
		root.SetArgs([]string{"quickstart", "--steps", "3,3", "--seed", "3", "--out", out})
		root.SetOut(io.MultiWriter(&said, seen))
		root.SetErr(seen)
		if err := root.ExecuteContext(ctx); status(err) != exitInterrupted {
			t.Fatalf("%s: %v", c.at, err)
		}
		_, after, _ := strings.Cut(said.String(), "\nStopped. ")
		var commands []string
		for line := range strings.Lines(after) {
			if command, ok := strings.CutPrefix(line, "  "+program()+" "); ok {
				commands = append(commands, strings.ReplaceAll(strings.TrimSpace(command), out, "OUT"))
			}
		}
		if !slices.Equal(commands, c.want) {
			t.Errorf("%s: it names %q, want %q, in\n%s", c.at, commands, c.want, &said)
		}
		if !c.obey {
			continue
		}
		for _, command := range commands {
			must(t, strings.Fields(strings.ReplaceAll(command, "OUT", out))...)
		}
		m, err := run.Open(out)
		if err != nil {
			t.Fatalf("%s: %v", c.at, err)
		}
		if m.Kind != run.LM || m.MaxSteps != 3 || m.Seed != 3 {
			t.Errorf("%s: the run has %d steps, seed %d", c.at, m.MaxSteps, m.Seed)
		}
		m.Close()
	}
}
