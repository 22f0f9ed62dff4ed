package run_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// breakMetrics makes every further write to metrics.jsonl fail. The function mend undoes that.
func breakMetrics(t *testing.T, tr *run.Training) (mend func()) {
	t.Helper()
	path := filepath.Join(tr.Dir, "metrics.jsonl")
	data, err := os.ReadFile(path)
	if err == nil {
		err = errors.Join(os.Remove(path), os.Mkdir(path, 0o777))
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(os.Remove(path), os.WriteFile(path, data, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
}

var errBroken = errors.New("broken")

// failures are ways to make a training fail at step 6 of 8 or at the end. Each returns a function that repairs it.
var failures = map[string]struct {
	steps    int // steps made when it fails
	sets     []string
	breaking func(t *testing.T, tr *run.Training) (mend func())
}{
	"metrics of a step":        {6, []string{"logging_steps=6", "eval_steps=0"}, breakMetrics},
	"metrics of a measurement": {6, []string{"logging_steps=7", "eval_steps=6"}, breakMetrics},
	"the last metrics":         {8, []string{"logging_steps=9", "eval_steps=0"}, breakMetrics},
	"a measurement": {6, []string{"eval_steps=6"}, func(t *testing.T, tr *run.Training) func() {
		tr.Loop().Evaluate = func(context.Context) ([]metric.Metric, error) { return nil, errBroken }
		return func() {}
	}},
	"the last measurement": {8, []string{"eval_steps=0"}, func(t *testing.T, tr *run.Training) func() {
		tr.Loop().Evaluate = func(context.Context) ([]metric.Metric, error) { return nil, errBroken }
		return func() {}
	}},
	"a measurement panics": {6, []string{"eval_steps=6"}, func(t *testing.T, tr *run.Training) func() {
		tr.Loop().Evaluate = func(context.Context) ([]metric.Metric, error) { panic(errBroken) }
		return func() {}
	}},
	"Progress panics": {6, []string{"eval_steps=0"}, func(t *testing.T, tr *run.Training) func() {
		tr.Progress = func(e train.Event) {
			if e.Step == 6 {
				panic(errBroken)
			}
		}
		return func() {}
	}},
	"a step": {6, []string{"eval_steps=0"}, func(t *testing.T, tr *run.Training) func() {
		o := tr.Loop().Trainer.Objective
		o.Fill = failAt(3, o.Fill, errBroken)
		return func() {}
	}},
}

// do trains. It returns a panic as an error.
func do(t *testing.T, tr *run.Training) (out train.Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = p.(error)
		}
	}()
	return tr.Do(t.Context())
}

// TestFailuresSave checks each of failures: the steps made so far are saved, the error says what failed, and resuming after the
// repair gives the same run as one without the failure.
func TestFailuresSave(t *testing.T) {
	text := tinyText(t)
	for name, c := range failures {
		o := run.Options{Kind: run.AR, Set: append(append(slices.Clone(tinyAR), "save_steps=0"), c.sets...), Data: []string{text}, Steps: 8, Out: filepath.Join(t.TempDir(), "whole")}
		trainTo(t, 1, 0, o)
		whole, metrics := checkpointOf(t, o.Out, 8), metricsOf(t, o.Out)
		o.Out = filepath.Join(t.TempDir(), "failed")
		trainTo(t, 1, 4, o)
		tr, _, err := run.Resume(t.Context(), engine(t, 1), o.Out, run.ResumeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		mend := c.breaking(t, tr)
		out, err := do(t, tr)
		if out.Finished || !errors.Is(err, errBroken) && !(err != nil && strings.Contains(err.Error(), "metrics.jsonl")) {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		mend()
		checkpointOf(t, o.Out, c.steps)
		if out := trainTo(t, 1, 0, o); !out.Finished || out.Steps != 8 {
			t.Errorf("%s: resumed: %+v", name, out)
		}
		sameCheckpoint(t, name, checkpointOf(t, o.Out, 8), whole)
		lost := 0
		if name == "metrics of a step" { // this line cannot be written later
			lost = 1
		}
		if got := metricsOf(t, o.Out); len(got) != len(metrics)-lost || lost == 0 && !cmp.Equal(got, metrics) {
			t.Errorf("%s: metrics differ:\n%s", name, cmp.Diff(metrics, got))
		}
	}
}

// TestCheckpointCannotBeWritten checks that a failing checkpoint is reported once, and that the earlier checkpoint still works.
func TestCheckpointCannotBeWritten(t *testing.T) {
	o := run.Options{Kind: run.AR, Set: append(slices.Clone(tinyAR), "save_steps=2", "eval_steps=0"), Data: []string{tinyText(t)}, Steps: 8, Out: filepath.Join(t.TempDir(), "run")}
	trainTo(t, 1, 4, o)
	tr, _, err := run.Resume(t.Context(), engine(t, 1), o.Out, run.ResumeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(o.Out, "state") // becomes a file in place of the directory
	if err := errors.Join(os.Rename(state, state+"-aside"), os.WriteFile(state, nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	out, err := tr.Do(t.Context())
	if err == nil || out.Finished || out.Steps != 6 || strings.Count(err.Error(), "not a directory") != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	if err := errors.Join(tr.Close(), os.Remove(state), os.Rename(state+"-aside", state)); err != nil {
		t.Fatal(err)
	}
	if out := trainTo(t, 1, 0, o); !out.Finished || out.Steps != 8 {
		t.Errorf("resumed: %+v", out)
	}
}
