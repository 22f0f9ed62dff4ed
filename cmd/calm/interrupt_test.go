package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// TestInWords: an interruption reads as one; what is kept, and what else went wrong, is still said.
func TestInWords(t *testing.T) {
	full := errors.New("write x: no space left on device")
	for want, err := range map[string]error{
		"interrupted":                                   fmt.Errorf("evaluation: batch 1 of 15: %w", context.Canceled),
		"interrupted; the same command goes on":         fmt.Errorf("the download of a/b: %w; the same command goes on", context.Canceled),
		"interrupted\nwrite x: no space left on device": errors.Join(fmt.Errorf("a: %w", context.Canceled), full, fmt.Errorf("b: %w", context.Canceled)),
		full.Error():                                    full,
	} {
		if got := inWords(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestInterruptedEarly: Ctrl-C before a verb has got anywhere is status 130 and the same word from all of them, and nothing
// is left.
func TestInterruptedEarly(t *testing.T) {
	r := tinyRuns(t)
	work := t.TempDir()
	t.Chdir(work)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, args := range [][]string{
		{"eval", r.ae}, {"eval", r.lm}, {"eval", r.ar}, {"generate", r.lm, "--prompt", "a"}, {"generate", r.ar, "--ids", "97"},
		trainTiny("ae", "x", r.text), trainTiny("lm", "x", r.text, "--ae", r.ae), trainTiny("ar", "x", r.text),
		{"train", "--resume", r.lm, "--steps", "100"},
		{"tokenizer", "train", "--out", "x", "--data", r.text}, {"data", "info", r.text}, {"export", r.lm, "x"},
	} {
		root := newRoot()
		root.SetArgs(args)
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		err := root.ExecuteContext(ctx)
		if err == nil || status(err) != exitInterrupted || inWords(err) != "interrupted" {
			t.Errorf("calm %s: want status 130 and one word: %v", strings.Join(args, " "), err)
		}
		if left, _ := filepath.Glob("*"); len(left) > 0 {
			t.Fatalf("calm %s left %v", strings.Join(args, " "), left)
		}
	}
}

// TestInterruptedReading: Ctrl-C at a terminal that waits for text ends the wait.
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
