package quickstart_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/quickstart"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

func TestFreeDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "q")
	for i, want := range []string{dir, dir + "-2", dir + "-3"} {
		got := quickstart.FreeDir(dir)
		if got != want {
			t.Errorf("%d: %s, want %s", i, got, want)
		}
		made := got
		if i == 1 {
			made = quickstart.AEDir(got) // as if stopped in the first phase
		}
		if err := os.Mkdir(made, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if got := quickstart.AEDir(dir + "/"); got != dir+"-ae" {
		t.Errorf("the autoencoder of %s/ is at %s", dir, got)
	}
}

// TestTakenDirectory checks that a directory that is taken is refused before any training, and does not change.
func TestTakenDirectory(t *testing.T) {
	eng := cpu.New(cpu.Options{Threads: 1})
	defer eng.Close()
	for _, taken := range []string{"q", "q-ae"} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, taken, "something"), 0o777); err != nil {
			t.Fatal(err)
		}
		_, err := quickstart.Run(t.Context(), eng, quickstart.Options{AESteps: 1, LMSteps: 1, Out: filepath.Join(dir, "q"), Say: io.Discard})
		if usage, ok := errors.AsType[*run.UsageError](err); !ok || !strings.Contains(usage.Error(), taken) {
			t.Errorf("%s is taken: %v", taken, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 1 {
			t.Errorf("%s is taken: %v was made", taken, entries)
		}
	}
}

// TestStopped ends the context in the first phase: the training so far is saved and can be resumed.
func TestStopped(t *testing.T) {
	eng := cpu.New(cpu.Options{Threads: 1})
	defer eng.Close()
	out := filepath.Join(t.TempDir(), "q")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := 0
	_, err := quickstart.Run(ctx, eng, quickstart.Options{AESteps: 5, LMSteps: 5, Out: out, Seed: 1, Say: io.Discard, PhaseEnd: func() { ended++ },
		Progress: func(kind run.Kind, e train.Event) {
			if kind != run.AE {
				t.Errorf("a step of %s", kind)
			}
			if e.Kind == train.EventStep && e.Step == 2 {
				stop()
			}
		}})
	if !errors.Is(err, context.Canceled) || ended != 1 {
		t.Fatalf("%v, %d phases ended", err, ended)
	}
	tr, warnings, err := run.Resume(t.Context(), eng, quickstart.AEDir(out), run.ResumeOptions{})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	defer tr.Close()
	if tr.Steps() != 2 || tr.MaxSteps != 5 {
		t.Errorf("%d of %d steps are saved", tr.Steps(), tr.MaxSteps)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("the training of a language model began")
	}
	_, err = quickstart.Run(t.Context(), eng, quickstart.Options{AESteps: 5, LMSteps: 5, Out: out, Say: io.Discard})
	want := "`calm train --resume " + quickstart.AEDir(out) + " && calm train lm --preset quickstart"
	if usage, ok := errors.AsType[*run.UsageError](err); !ok || !strings.Contains(usage.Error(), want) {
		t.Errorf("the same quickstart again: %v, want %s", err, want)
	}
}

// TestKilledEarly: what a quickstart leaves that was killed before it trained is no hindrance, in either directory.
func TestKilledEarly(t *testing.T) {
	eng := cpu.New(cpu.Options{Threads: 1})
	defer eng.Close()
	out := filepath.Join(t.TempDir(), "q")
	for _, dir := range []string{out, quickstart.AEDir(out)} {
		r, err := checkpoint.CreateRun(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(r.AddBytes(checkpoint.TokenizerFile, []byte("{")), r.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if got := quickstart.FreeDir(out); got != out {
		t.Errorf("the next quickstart takes %s", got)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	steps := 0
	_, err := quickstart.Run(ctx, eng, quickstart.Options{AESteps: 5, LMSteps: 5, Out: out, Say: io.Discard, Progress: func(_ run.Kind, e train.Event) {
		steps++
		stop()
	}})
	if !errors.Is(err, context.Canceled) || steps == 0 {
		t.Errorf("%v after %d steps", err, steps)
	}
}

// TestKeepsAutoencoder ends a quickstart in every phase after the autoencoder's training. The report or the error names the
// autoencoder that is kept.
func TestKeepsAutoencoder(t *testing.T) {
	if testing.Short() {
		t.Skip("measures the autoencoder on the held-out part of the book")
	}
	eng := cpu.New(cpu.Options{Threads: 1})
	defer eng.Close()
	for _, c := range []struct {
		name string
		stop bool
	}{{"stopped", true}, {"failed", false}} {
		out := filepath.Join(t.TempDir(), "q")
		ctx, stop := context.WithCancel(t.Context())
		var said strings.Builder
		_, err := quickstart.Run(ctx, eng, quickstart.Options{AESteps: 1, LMSteps: 3, Out: out, Say: &said, Progress: func(kind run.Kind, e train.Event) {
			if kind != run.LM || e.Kind != train.EventStep {
				return
			}
			if c.stop {
				stop()
			} else if err := os.WriteFile(filepath.Join(out, "state"), nil, 0o666); err != nil { // no checkpoint can be saved
				t.Error(err)
			}
		}})
		stop()
		if err == nil || !strings.Contains(said.String()+err.Error(), quickstart.AEDir(out)) {
			t.Errorf("%s: it does not name %s: %v\n%s", c.name, quickstart.AEDir(out), err, &said)
		}
	}
}
