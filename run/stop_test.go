package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// TestStoppedWhileMeasuring stops a run during a measurement, in the middle and at the end. Resuming must repeat the
// measurement.
func TestStoppedWhileMeasuring(t *testing.T) {
	o := run.Options{Kind: run.AR, Set: tinyAR, Data: []string{tinyText(t)}, Steps: 6, Out: filepath.Join(t.TempDir(), "whole")}
	trainTo(t, 1, 0, o)
	whole, metrics := checkpointOf(t, o.Out, 6), metricsOf(t, o.Out)
	o.Out = filepath.Join(t.TempDir(), "stopped")
	tr, err := run.Create(t.Context(), engine(t, 1), o)
	for _, steps := range []int{2, 6} { // steps after which the measurement is stopped
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		evaluate := tr.Loop().Evaluate
		tr.Loop().Evaluate = func(ctx context.Context) ([]metric.Metric, error) {
			if tr.Steps() == steps {
				stop()
				return nil, ctx.Err()
			}
			return evaluate(ctx)
		}
		out, err2 := tr.Do(ctx)
		if err = errors.Join(err2, tr.Close()); err != nil || out.Finished || out.Steps != steps {
			t.Fatalf("stopped in the measurement after %d steps: %+v, %v", steps, out, err)
		}
		if steps < 6 {
			tr, _, err = run.Resume(t.Context(), engine(t, 1), o.Out, run.ResumeOptions{})
		}
	}
	if out := trainTo(t, 1, 0, o); !out.Finished || len(out.Measured) == 0 {
		t.Errorf("the last measurement was not repeated: %+v", out)
	}
	sameCheckpoint(t, "stopped while measuring", checkpointOf(t, o.Out, 6), whole)
	if d := cmp.Diff(metrics, metricsOf(t, o.Out)); d != "" {
		t.Errorf("metrics of the run that was stopped (+) differ:\n%s", d)
	}
}

// endsAfter is a context that ends after left calls of Err.
type endsAfter struct {
	context.Context
	left int
}

func (c *endsAfter) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestStoppedInStep stops a run between the batches of a step. The step must not count, and resuming must make it again.
func TestStoppedInStep(t *testing.T) {
	o := run.Options{Kind: run.AR, Set: append(slices.Clone(tinyAR), "gradient_accumulation_steps=5"), Data: []string{tinyText(t)}, Steps: 4, Out: filepath.Join(t.TempDir(), "whole")}
	trainTo(t, 1, 0, o)
	whole, metrics := checkpointOf(t, o.Out, 4), metricsOf(t, o.Out)
	o.Out = filepath.Join(t.TempDir(), "stopped")
	tr, err := run.Create(t.Context(), engine(t, 1), o)
	for _, n := range []int{4, 11} { // in the first step and in a later one
		if err != nil {
			t.Fatal(err)
		}
		before := tr.Steps()
		out, err2 := tr.Do(&endsAfter{t.Context(), n})
		if err = errors.Join(err2, tr.Close()); err != nil || out.Finished || out.Steps > before+1 {
			t.Fatalf("stopped after %d calls of Err: %+v, %v", n, out, err)
		}
		tr, _, err = run.Resume(t.Context(), engine(t, 1), o.Out, run.ResumeOptions{})
	}
	if err = errors.Join(err, tr.Close()); err != nil {
		t.Fatal(err)
	}
	if out := trainTo(t, 1, 0, o); !out.Finished {
		t.Errorf("%+v", out)
	}
	sameCheckpoint(t, "stopped in a step", checkpointOf(t, o.Out, 4), whole)
	if d := cmp.Diff(metrics, metricsOf(t, o.Out)); d != "" {
		t.Errorf("metrics of the run that was stopped (+) differ:\n%s", d)
	}
}

// trainerState is a part of the trainer's state in state.json.
type trainerState struct {
	Decisions []train.Decision
	Seconds   float64
	Finished  bool
	Position  struct{ Epoch, Index int64 }
}

func stateOf(t *testing.T, dir string, step int) trainerState {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "state", "step-"+strconv.Itoa(step), "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ Trainer trainerState }
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s.Trainer
}

func decisionLines(t *testing.T, dir string) []string {
	return slices.DeleteFunc(metricsOf(t, dir), func(line string) bool { return !strings.Contains(line, "decided_steps") })
}

// TestMinutes trains for a number of minutes. The number of steps that the clock decides is recorded in metrics and checkpoint,
// and resuming follows it.
func TestMinutes(t *testing.T) {
	o := run.Options{Kind: run.AE, Set: append(slices.Clone(tinyAE), "eval_steps=0", "save_steps=0"), Data: []string{tinyText(t)},
		Minutes: .4 / 60, Out: filepath.Join(t.TempDir(), "run")}
	tr, err := run.Create(t.Context(), engine(t, 1), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	decided := 0
	tr.Progress = func(e train.Event) {
		if decided == 0 && e.Kind == train.EventStep && e.Total > 0 {
			decided = e.Total
			stop()
		}
	}
	out, err := tr.Do(ctx)
	if err = errors.Join(err, tr.Close()); err != nil || decided == 0 {
		t.Fatalf("decided on %d steps, %v", decided, err)
	}
	if out.Finished {
		t.Skipf("the run finished with the decision, after %d steps", decided)
	}
	state := stateOf(t, o.Out, out.Steps)
	if len(state.Decisions) != 1 || state.Decisions[0].Total != decided || state.Decisions[0].Step != out.Steps-1 {
		t.Errorf("after %d steps and the decision for %d the state is %+v", out.Steps, decided, state)
	}
	if lines := decisionLines(t, o.Out); len(lines) != 1 || !strings.Contains(lines[0], "decided_steps:"+strconv.Itoa(decided)) {
		t.Errorf("metrics have the decisions %q", lines)
	}
	end := trainTo(t, 2, 0, o)
	if !end.Finished || end.Steps != decided || len(decisionLines(t, o.Out)) != 1 {
		t.Errorf("resumed: %+v and the decisions %q, want %d steps", end, decisionLines(t, o.Out), decided)
	}
	before := tree(t, o.Out)
	trainTo(t, 1, 0, o)
	if d := cmp.Diff(before, tree(t, o.Out)); d != "" {
		t.Errorf("resuming the finished run changed it:\n%s", d)
	}
	o.Steps = decided // as many as are made: the run is still limited by minutes
	if again := trainTo(t, 1, 0, o); !again.Finished || again.Steps != decided {
		t.Errorf("resumed to %d steps: %+v", o.Steps, again)
	}
	refused(t, o.Out, "want more than", run.ResumeOptions{Steps: decided - 1})
	if d := cmp.Diff(before, tree(t, o.Out)); d != "" {
		t.Errorf("resuming the finished run to as many steps changed it:\n%s", d)
	}
	o.Steps = decided + 3
	if more := trainTo(t, 1, 0, o); !more.Finished || more.Steps != decided+3 {
		t.Errorf("resumed to %d steps: %+v", decided+3, more)
	}
}

// TestMinutesAndSteps checks a run configured with both limits: the first that is reached ends it, and resuming it changes
// nothing.
func TestMinutesAndSteps(t *testing.T) {
	o := run.Options{Kind: run.AE, Set: append(slices.Clone(tinyAE), "eval_steps=0", "save_steps=0", "max_minutes=0.003", "max_steps=1000000"),
		Data: []string{tinyText(t)}, Out: filepath.Join(t.TempDir(), "run")}
	out := trainTo(t, 1, 0, o)
	if !out.Finished || out.Steps >= 1000000 || !stateOf(t, o.Out, out.Steps).Finished {
		t.Fatalf("%+v", out)
	}
	before := tree(t, o.Out)
	if again := trainTo(t, 1, 0, o); !again.Finished || again.Steps != out.Steps {
		t.Errorf("resumed: %+v after %+v", again, out)
	}
	if d := cmp.Diff(before, tree(t, o.Out)); d != "" {
		t.Errorf("resuming the finished run changed it:\n%s", d)
	}
}

// TestFailedStep checks that a step that fails is not counted: resuming makes it again with the same batch.
func TestFailedStep(t *testing.T) {
	o := run.Options{Kind: run.AE, Set: tinyAE, Data: []string{tinyText(t)}, Steps: 4, Out: filepath.Join(t.TempDir(), "whole")}
	trainTo(t, 1, 0, o)
	whole := checkpointOf(t, o.Out, 4)
	o.Out = filepath.Join(t.TempDir(), "failed")
	tr, err := run.Create(t.Context(), engine(t, 1), o)
	if err != nil {
		t.Fatal(err)
	}
	broken, fill := errors.New("broken"), tr.Loop().Trainer.Objective.Fill
	tr.Loop().Trainer.Objective.Fill = failAt(2, fill, broken)
	out, err := tr.Do(t.Context())
	if err2 := tr.Close(); !errors.Is(err, broken) || err2 != nil || out.Finished || out.Steps != 1 {
		t.Fatalf("%+v, %v, %v", out, err, err2)
	}
	trainTo(t, 1, 0, o)
	sameCheckpoint(t, "after a failed step", checkpointOf(t, o.Out, 4), whole)
}

// failAt returns do with its n-th call replaced by an error.
func failAt[P, B any](n int, do func(P, B) error, err error) func(P, B) error {
	return func(p P, b B) error {
		if n--; n == 0 {
			return err
		}
		return do(p, b)
	}
}
