package run_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/loop"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// resumeTo resumes a run with options and trains until stopAt steps are made, or to the end if stopAt is 0.
func resumeTo(t testing.TB, stopAt int, dir string, o run.ResumeOptions) train.Outcome {
	t.Helper()
	tr, _, err := run.Resume(t.Context(), engine(t, 1), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return stopAfter(t, stopAt, tr)
}

// changesOf returns the changes in metrics.jsonl, and checks that the checkpoint has the same.
func changesOf(t *testing.T, dir string) []train.Change {
	t.Helper()
	var list []train.Change
	for line, err := range train.ReadMetrics(dir) {
		if err != nil {
			t.Fatal(err)
		}
		if line.Kind == train.EventChanged {
			list = append(list, *line.Change)
		}
	}
	r, err := checkpoint.OpenRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	state, err := loop.ReadState(r)
	if d := cmp.Diff(list, state.Changes); err != nil || d != "" {
		t.Errorf("the checkpoint's changes (+) are not those of metrics.jsonl: %s, %v", d, err)
	}
	return list
}

// TestChangedRate changes the learning rate from step 5 on, in several ways: with and without stops and kills, and by editing
// config.json. All give the same run, whose config.json, metrics and checkpoint record the change. It differs from a run with
// either rate alone.
func TestChangedRate(t *testing.T) {
	base := run.Options{Kind: run.AR, Set: append(slices.Clone(tinyAR), "save_steps=0", "learning_rate=0.01"), Data: []string{tinyText(t)}, Steps: 8}
	begin := func(sets ...string) string {
		o := base
		o.Out, o.Set = filepath.Join(t.TempDir(), "run"), append(slices.Clone(base.Set), sets...)
		if out := trainTo(t, 1, 4, o); out.Steps != 4 {
			t.Fatalf("%+v", out)
		}
		return o.Out
	}
	other := run.ResumeOptions{Set: []string{"learning_rate=0.002", "max_grad_norm=0.5", "logging_steps=2"}}
	ways := map[string]func() string{
		"at once": func() string {
			dir := begin()
			resumeTo(t, 0, dir, other)
			return dir
		},
		"stopped again": func() string {
			dir := begin()
			resumeTo(t, 6, dir, other)
			resumeTo(t, 0, dir, run.ResumeOptions{})
			return dir
		},
		"killed after the change": func() string {
			dir := begin()
			tr, _, err := run.Resume(t.Context(), engine(t, 1), dir, other)
			if err != nil {
				t.Fatal(err)
			}
			if err := tr.Close(); err != nil {
				t.Fatal(err)
			}
			resumeTo(t, 0, dir, run.ResumeOptions{})
			return dir
		},
		"stopped before the next step": func() string {
			dir := begin()
			tr, _, err := run.Resume(t.Context(), engine(t, 1), dir, other)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := tr.Do(&endsAfter{t.Context(), 0}); err != nil || out.Steps != 4 {
				t.Fatalf("%+v, %v", out, err)
			}
			if err := tr.Close(); err != nil {
				t.Fatal(err)
			}
			resumeTo(t, 0, dir, run.ResumeOptions{})
			return dir
		},
		"by hand": func() string {
			dir := begin()
			path := filepath.Join(dir, "config.json")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, pair := range [][2]string{{`"learning_rate": 0.01,`, `"learning_rate": 0.002,`}, {`"max_grad_norm": 1,`, `"max_grad_norm": 0.5,`}, {`"logging_steps": 1,`, `"logging_steps": 2,`}} {
				if !bytes.Contains(data, []byte(pair[0])) {
					t.Fatalf("no %s in %s", pair[0], data)
				}
				data = bytes.ReplaceAll(data, []byte(pair[0]), []byte(pair[1]))
			}
			if err := os.WriteFile(path, data, 0o666); err != nil {
				t.Fatal(err)
			}
			if _, _, err := run.Resume(t.Context(), engine(t, 1), dir, run.ResumeOptions{}); err == nil || !strings.Contains(err.Error(), "--accept-config") {
				t.Fatalf("resumed with a changed config.json: %v", err)
			}
			resumeTo(t, 0, dir, run.ResumeOptions{AcceptConfig: true})
			return dir
		},
	}
	want := []train.Change{{Step: 5, Key: "learning_rate", Old: .01, New: .002}, {Step: 5, Key: "logging_steps", Old: 1., New: 2.}, {Step: 5, Key: "max_grad_norm", Old: 1., New: .5}}
	var weights map[string]string
	var metrics []string
	for name, way := range ways {
		dir := way()
		got := checkpointOf(t, dir, 8)
		if weights == nil {
			weights, metrics = got, metricsOf(t, dir)
		}
		sameCheckpoint(t, name, got, weights)
		if d := cmp.Diff(metrics, metricsOf(t, dir)); d != "" {
			t.Errorf("%s: metrics differ:\n%s", name, d)
		}
		if d := cmp.Diff(want, changesOf(t, dir)); d != "" {
			t.Errorf("%s: changes (+) differ:\n%s", name, d)
		}
		m, err := run.Describe(dir, false)
		if err != nil || m.LearningRate != .002 || m.MaxGradNorm != .5 || m.LoggingSteps != 2 {
			t.Errorf("%s: config.json says %+v, %v", name, m.TrainConfig, err)
		}
	}
	for _, alone := range []string{"learning_rate=0.01", "learning_rate=0.002"} {
		o := base
		o.Out, o.Set = filepath.Join(t.TempDir(), "alone"), append(slices.Clone(base.Set), alone)
		trainTo(t, 1, 0, o)
		if checkpointOf(t, o.Out, 8)["model.safetensors"] == weights["model.safetensors"] {
			t.Errorf("the run that changed its rate equals one with %s alone", alone)
		}
	}
}

// TestEveryChangeableKey changes every changeable key and checks that the changes are recorded. Setting the same values again
// records nothing.
func TestEveryChangeableKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	trainTo(t, 1, 2, run.Options{Kind: run.AE, Set: tinyAE, Data: []string{tinyText(t)}, Steps: 4, Out: dir})
	o := run.ResumeOptions{}
	values := map[string]string{"learning_rate": "0.002", "lr_scheduler_type": "cosine", "adam_beta1": "0.5", "adam_beta2": "0.6", "adam_epsilon": "0.001", "decay_fraction": "0.1"}
	for _, key := range run.Changeable() {
		value := values[key]
		if value == "" {
			value = "7"
		}
		o.Set = append(o.Set, key+"="+value)
	}
	resumeTo(t, 3, dir, o)
	resumeTo(t, 0, dir, o)
	var got []string
	for _, c := range changesOf(t, dir) {
		if c.Step != 3 || c.Old == c.New {
			t.Errorf("%+v", c)
		}
		got = append(got, c.Key+"="+strings.Fields(c.String())[6])
	}
	slices.Sort(o.Set)
	slices.Sort(got)
	if d := cmp.Diff(o.Set, got); d != "" {
		t.Errorf("changes (+) differ from what was set:\n%s", d)
	}
}

// TestUnchangeable checks that every other key of every kind is refused with a reason, and so are values out of range and
// unknown keys.
func TestUnchangeable(t *testing.T) {
	text := tinyText(t)
	ae, lm, ar := filepath.Join(t.TempDir(), "ae"), filepath.Join(t.TempDir(), "lm"), filepath.Join(t.TempDir(), "ar")
	trainTo(t, 1, 0, run.Options{Kind: run.AE, Set: tinyAE, Data: []string{text}, Steps: 2, Out: ae})
	trainTo(t, 1, 0, run.Options{Kind: run.LM, Set: tinyLM, AE: ae, Data: []string{text}, Steps: 2, Out: lm})
	trainTo(t, 1, 0, run.Options{Kind: run.AR, Set: tinyAR, Data: []string{text}, Steps: 2, Out: ar})
	checked := 0
	for _, dir := range []string{ae, lm, ar} {
		data, err := os.ReadFile(filepath.Join(dir, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]any
		if err := json.Unmarshal(data, &keys); err != nil {
			t.Fatal(err)
		}
		for key, value := range keys {
			if slices.Contains(run.Changeable(), key) {
				continue
			}
			checked++
			refused(t, dir, "cannot change in the middle of a run", run.ResumeOptions{Steps: 9, Set: []string{fmt.Sprintf("%s=%v", key, value)}})
		}
		for set, want := range map[string]string{
			"learning_rate=-1": "learning_rate", "learning_rate=x": "learning_rate", "learning_rat=1": "learning_rate", "logging_steps=0": "logging_steps",
			"batch_size=3": "which text each step is made on", "hidden_size=32": "part of the model", "max_steps=9": "--steps", "max_minutes=9": "--minutes", "": "",
		} {
			refused(t, dir, want, run.ResumeOptions{Steps: 9, Set: []string{set}})
		}
		refused(t, dir, "finished after 2 steps", run.ResumeOptions{Set: []string{"learning_rate=0.1"}})
		refused(t, dir, "it is a run of kind", run.ResumeOptions{Kind: "other", Steps: 9})
	}
	if checked < 60 {
		t.Fatalf("%d keys were checked", checked)
	}
}
