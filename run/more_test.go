package run_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// further is how long the tests continue a training, in minutes.
const further = .15 / 60

// TestFurtherMinutes resumes a finished run, and a stopped one, with further minutes. They train about that much longer. The
// number of steps that the clock decides is recorded, and followed when the run is stopped and resumed again.
func TestFurtherMinutes(t *testing.T) {
	for _, first := range []int{0, 4} { // step of the stop; 0 for a finished run
		o := run.Options{Kind: run.AE, Set: append(slices.Clone(tinyAE), "eval_steps=0", "save_steps=0", "logging_steps=1000"), Data: []string{tinyText(t)}, Steps: 6,
			Out: filepath.Join(t.TempDir(), "run")}
		before := trainTo(t, 1, first, o)
		before.Seconds = stateOf(t, o.Out, before.Steps).Seconds // without the time of saving
		tr, _, err := run.Resume(t.Context(), engine(t, 1), o.Out, run.ResumeOptions{Minutes: further})
		if err != nil {
			t.Fatal(err)
		}
		if tr.Finished() || tr.MaxSteps != 0 || tr.MaxMinutes < further || tr.MaxMinutes > further+before.Seconds/60 {
			t.Errorf("max_steps %d and max_minutes %g after %g s", tr.MaxSteps, tr.MaxMinutes, before.Seconds)
		}
		if err := tr.Close(); err != nil { // as if killed before the first step: the minutes must not be lost
			t.Fatal(err)
		}
		limit := tr.MaxMinutes
		if tr, _, err = run.Resume(t.Context(), engine(t, 1), o.Out, run.ResumeOptions{}); err != nil {
			t.Fatal(err)
		}
		if tr.Finished() || tr.MaxMinutes != limit {
			t.Errorf("resumed before its first step: max_minutes %g, want %g", tr.MaxMinutes, limit)
		}
		out := stopWhenDecided(t, tr)
		if out.Finished || out.Steps <= before.Steps {
			t.Fatalf("stopped when it had decided: %+v", out)
		}
		end := trainTo(t, 2, 0, run.Options{Out: o.Out})
		state := stateOf(t, o.Out, end.Steps)
		if len(state.Decisions) != 1 || state.Decisions[0].Total != end.Steps || !end.Finished || len(decisionLines(t, o.Out)) != 1 {
			t.Errorf("%+v with the decisions %+v, and %q in metrics.jsonl", end, state.Decisions, decisionLines(t, o.Out))
		}
		if d := state.Decisions[0]; d.Seconds < before.Seconds+.1*60*further*.999 || d.Step <= before.Steps {
			t.Errorf("decided %+v too soon: the training was resumed after %+v", d, before)
		}
		whole := tree(t, o.Out)
		trainTo(t, 1, 0, run.Options{Out: o.Out})
		if d := cmp.Diff(whole, tree(t, o.Out)); d != "" {
			t.Errorf("resuming the finished run changed it:\n%s", d)
		}
	}
}

// stopWhenDecided trains until the number of steps is decided, and stops with the next step.
func stopWhenDecided(t *testing.T, tr *run.Training) train.Outcome {
	t.Helper()
	ctx := &endsAfter{t.Context(), 1 << 60}
	tr.Progress = func(e train.Event) {
		if e.Kind == train.EventDecided {
			ctx.left = 0
		}
	}
	out, err := tr.Do(ctx)
	if err = errors.Join(err, tr.Close()); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestMinutesOrSteps checks that with both limits the first that is reached ends the run.
func TestMinutesOrSteps(t *testing.T) {
	o := run.Options{Kind: run.AE, Set: tinyAE, Data: []string{tinyText(t)}, Steps: 6, Out: filepath.Join(t.TempDir(), "run")}
	trainTo(t, 1, 0, o)
	if out := resumeTo(t, 0, o.Out, run.ResumeOptions{Steps: 9, Minutes: 60}); out.Steps != 9 || !out.Finished {
		t.Errorf("9 steps or an hour: %+v", out)
	}
	if out := resumeTo(t, 0, o.Out, run.ResumeOptions{Steps: 1_000_000_000, Minutes: .001}); out.Steps <= 9 || !out.Finished {
		t.Errorf("10^9 steps or .06 s: %+v", out)
	}
	refused(t, o.Out, "max_minutes", run.ResumeOptions{Minutes: 1e9})
}

// TestLoggedSteps checks which steps have lines in metrics.jsonl: a stopped and resumed run has the same lines as one that was
// not stopped.
func TestLoggedSteps(t *testing.T) {
	for _, stop := range []int{0, 5, 10} {
		o := run.Options{Kind: run.AE, Set: append(slices.Clone(tinyAE), "logging_steps=5", "eval_steps=10", "save_steps=0"), Data: []string{tinyText(t)}, Steps: 22,
			Out: filepath.Join(t.TempDir(), "run")}
		var told []string
		tr, err := run.Create(t.Context(), engine(t, 1), o)
		if err != nil {
			t.Fatal(err)
		}
		stopAfter(t, stop, tr)
		if stop > 0 {
			trainTo(t, 1, 0, o)
		}
		for line, err := range train.ReadMetrics(o.Out) {
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, fmt.Sprint(line.Kind, line.Step))
		}
		const want = "step1 step5 step10 measured10 step15 step20 measured20 measured22"
		if got := strings.Join(told, " "); got != want {
			t.Errorf("stopped at %d: %s, want %s", stop, got, want)
		}
	}
}

// asBefore rewrites the newest checkpoint and the metrics in the format that calm wrote before events had a kind.
func asBefore(t *testing.T, dir string) {
	t.Helper()
	r, err := checkpoint.ResumeRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := r.Latest()
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]any
	if err := saved.Trainer(&state); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"config", "changes", "since"} {
		delete(state, key)
	}
	read := func(f *checkpoint.File) (list []checkpoint.Tensor) {
		for _, name := range f.Names() {
			tensor, err := f.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, tensor)
		}
		return list
	}
	err = r.Save(saved.Step, checkpoint.State{Model: read(saved.Model), Optimizer: read(saved.Optimizer), Trainer: state})
	if err = errors.Join(err, saved.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "metrics.jsonl")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for line := range strings.Lines(string(data)) {
		var keys map[string]any
		if err := json.Unmarshal([]byte(line), &keys); err != nil {
			t.Fatal(err)
		}
		if keys["kind"] == "measured" {
			keys["measured"] = true
		}
		delete(keys, "kind")
		text, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, text...), '\n')
	}
	if err := os.WriteFile(path, out, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestOlderRuns checks that runs from before events had a kind can be resumed, also with changed settings.
func TestOlderRuns(t *testing.T) {
	text := tinyText(t)
	for name, c := range map[string]struct {
		stopAt  int
		more    run.ResumeOptions
		changes int
		steps   int // steps at the end; 0 for any number above 6
	}{
		"stopped":         {4, run.ResumeOptions{}, 0, 6},
		"finished":        {0, run.ResumeOptions{}, 0, 6},
		"more steps":      {0, run.ResumeOptions{Steps: 8}, 0, 8},
		"another rate":    {4, run.ResumeOptions{Set: []string{"learning_rate=0.002"}}, 1, 6},
		"further minutes": {0, run.ResumeOptions{Minutes: .001, Set: []string{"learning_rate=0.002"}}, 1, 0},
	} {
		o := run.Options{Kind: run.AR, Set: tinyAR, Data: []string{text}, Steps: 6, Out: filepath.Join(t.TempDir(), "whole")}
		trainTo(t, 1, 0, o)
		whole, metrics := checkpointOf(t, o.Out, 6), kindsOf(t, o.Out)
		o.Out = filepath.Join(t.TempDir(), "older")
		trainTo(t, 1, c.stopAt, o)
		asBefore(t, o.Out)
		if got := kindsOf(t, o.Out); c.stopAt == 0 && got != metrics {
			t.Errorf("%s: the older metrics are read as %s, want %s", name, got, metrics)
		}
		out := resumeTo(t, 0, o.Out, c.more)
		if !out.Finished || out.Steps != c.steps && (c.steps != 0 || out.Steps <= 6) {
			t.Errorf("%s: %+v", name, out)
		}
		if c.stopAt > 0 && c.changes == 0 {
			sameCheckpoint(t, name, checkpointOf(t, o.Out, 6), whole)
			if got := kindsOf(t, o.Out); got != metrics {
				t.Errorf("%s: metrics are of %s, want %s", name, got, metrics)
			}
		}
		if c.stopAt > 0 || c.more.Steps > 0 || c.more.Minutes > 0 { // resuming a finished run writes no checkpoint
			if got := changesOf(t, o.Out); len(got) != c.changes {
				t.Errorf("%s: changes %v", name, got)
			}
		}
	}
}

// kindsOf lists kind and step of each line of metrics.
func kindsOf(t *testing.T, dir string) string {
	t.Helper()
	var list []string
	for line, err := range train.ReadMetrics(dir) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprint(line.Kind, line.Step))
	}
	return strings.Join(list, " ")
}
