package run_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/run"
)

// variants returns options of runs to test resuming with. Out and Steps are to be filled in.
func variants(t *testing.T) map[string]run.Options {
	text := tinyText(t)
	ae := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "frozen"), Set: tinyAE, Data: []string{text}, Steps: 3}
	trainTo(t, 1, 0, ae)
	with := func(sets []string, more ...string) []string { return append(slices.Clone(sets), more...) }
	data := []string{text}
	all := map[string]run.Options{
		"ae":               {Kind: run.AE, Set: tinyAE, Data: data},
		"ae accumulating":  {Kind: run.AE, Set: with(tinyAE, "gradient_accumulation_steps=3"), Data: data},
		"ae token dropout": {Kind: run.AE, Set: with(tinyAE, "token_dropout=0.3", "latent_dropout=0"), Data: data},
		"ae cosine":        {Kind: run.AE, Set: with(tinyAE, "lr_scheduler_type=cosine"), Data: data},
		"lm":               {Kind: run.LM, Set: with(tinyLM, "token_loss_weight=0"), Data: data, AE: ae.Out},
		"lm token loss":    {Kind: run.LM, Set: with(tinyLM, "token_loss_weight=4"), Data: data, AE: ae.Out},
		"lm everything": {Kind: run.LM, Set: with(tinyLM, "input=both", "token_loss_weight=4", "token_loss_until=0.5", "mse_anchor=0.5",
			"head_learning_rate=2", "beta=0.5"), Data: data, AE: ae.Out},
		"lm latents":           {Kind: run.LM, Set: with(tinyLM, "input=latents"), Data: data, AE: ae.Out},
		"lm frozen table":      {Kind: run.LM, Set: with(tinyLM, "init_embeddings=normal", "lr_scheduler_type=constant_with_warmup"), Data: data, AE: ae.Out},
		"lm accumulating":      {Kind: run.LM, Set: with(tinyLM, "gradient_accumulation_steps=2"), Data: data, AE: ae.Out},
		"ar":                   {Kind: run.AR, Set: tinyAR, Data: data},
		"ar many small epochs": {Kind: run.AR, Set: with(tinyAR, "batch_size=40", "block_size=64"), Data: data},
	}
	for _, kind := range head.Names() {
		all["lm "+kind] = run.Options{Kind: run.LM, Set: with(tinyLanguage, "model_type="+kind, "token_loss_weight=4"), Data: data, AE: ae.Out}
	}
	return all
}

// TestResumeEqualsNeverStopping stops and resumes runs several times, each time with another number of threads. Weights, moments
// and metrics must be those of a run that was not stopped.
func TestResumeEqualsNeverStopping(t *testing.T) {
	const steps = 8
	for name, o := range variants(t) {
		t.Run(name, func(t *testing.T) {
			o.Steps = steps
			o.Out = filepath.Join(t.TempDir(), "whole")
			if out := trainTo(t, 2, 0, o); !out.Finished || out.Steps != steps {
				t.Fatalf("%+v", out)
			}
			whole, metrics := checkpointOf(t, o.Out, steps), metricsOf(t, o.Out)
			if len(metrics) != steps+steps/2 {
				t.Errorf("%d lines of metrics, want one for each step and one for the measurement of every second step:\n%s", len(metrics), strings.Join(metrics, "\n"))
			}
			o.Out = filepath.Join(t.TempDir(), "stopped")
			for i, stopAt := range []int{1, 4, 6, 0} { // a measurement follows steps 4 and 6
				if out := trainTo(t, []int{1, 3, 2, 1}[i], stopAt, o); out.Finished != (stopAt == 0) || stopAt > 0 && out.Steps != stopAt {
					t.Fatalf("stopped at %d: %+v", stopAt, out)
				}
			}
			sameCheckpoint(t, "stopped three times", checkpointOf(t, o.Out, steps), whole)
			if d := cmp.Diff(metrics, metricsOf(t, o.Out)); d != "" {
				t.Errorf("metrics of the run that was stopped (+) differ:\n%s", d)
			}
		})
	}
}

// TestMoreSteps resumes a finished run with more steps. The learning rate does not depend on the number of steps, so the result
// must equal that of one long run.
func TestMoreSteps(t *testing.T) {
	o := run.Options{Kind: run.AE, Set: append(slices.Clone(tinyAE), "lr_scheduler_type=constant_with_warmup"), Data: []string{tinyText(t)}, Steps: 8}
	o.Out = filepath.Join(t.TempDir(), "whole")
	trainTo(t, 1, 0, o)
	whole, metrics := checkpointOf(t, o.Out, 8), metricsOf(t, o.Out)

	o.Out, o.Steps = filepath.Join(t.TempDir(), "raised"), 4
	trainTo(t, 1, 0, o)
	before := tree(t, o.Out)
	o.Steps = 0
	if out := trainTo(t, 2, 0, o); !out.Finished || out.Steps != 4 {
		t.Errorf("resuming a finished run: %+v", out)
	}
	o.Steps = 4
	trainTo(t, 2, 0, o)
	if d := cmp.Diff(before, tree(t, o.Out)); d != "" {
		t.Errorf("resuming a finished run changed it:\n%s", d)
	}
	o.Steps = 8
	if out := trainTo(t, 2, 0, o); !out.Finished || out.Steps != 8 {
		t.Errorf("raised to 8 steps: %+v", out)
	}
	sameCheckpoint(t, "raised", checkpointOf(t, o.Out, 8), whole)
	if d := cmp.Diff(metrics, metricsOf(t, o.Out)); d != "" {
		t.Errorf("metrics of the raised run (+) differ:\n%s", d)
	}
}

// refused checks that resuming with options is a *run.UsageError or *config.Error with the text want, and changes no file.
func refused(t *testing.T, dir, want string, o run.ResumeOptions) {
	t.Helper()
	before := tree(t, dir)
	tr, _, err := run.Resume(t.Context(), engine(t, 1), dir, o)
	_, usage := errors.AsType[*run.UsageError](err)
	_, config := errors.AsType[*config.Error](err)
	if tr != nil || !usage && !config || !strings.Contains(err.Error(), want) {
		t.Errorf("resumed with %+v: %v, want %q", o, err, want)
	}
	if d := cmp.Diff(before, tree(t, dir)); d != "" {
		t.Errorf("%+v was refused and changed the run:\n%s", o, d)
	}
}

// TestFewerSteps resumes a stopped run, and then a finished one, with other numbers of steps. Fewer steps than are made are
// refused. As many as are made end the run there.
func TestFewerSteps(t *testing.T) {
	o := run.Options{Kind: run.AR, Set: tinyAR, Data: []string{tinyText(t)}, Steps: 8, Out: filepath.Join(t.TempDir(), "run")}
	if out := trainTo(t, 1, 4, o); out.Finished || out.Steps != 4 {
		t.Fatalf("stopped: %+v", out)
	}
	for _, fewer := range []int{1, 3} {
		refused(t, o.Out, "has made 4 steps already", run.ResumeOptions{Steps: fewer})
	}
	o.Steps = 4
	if out := trainTo(t, 1, 0, o); !out.Finished || out.Steps != 4 {
		t.Errorf("4 steps after 4: %+v", out)
	}
	for _, fewer := range []int{1, 3} {
		refused(t, o.Out, "want more than 4", run.ResumeOptions{Steps: fewer})
		refused(t, o.Out, "want more than 4", run.ResumeOptions{Steps: fewer, Minutes: 1})
	}
	for _, o.Steps = range []int{0, 4} {
		if out := trainTo(t, 1, 0, o); !out.Finished || out.Steps != 4 {
			t.Errorf("resumed: %+v", out)
		}
	}
	o.Steps = 6
	if out := trainTo(t, 1, 0, o); !out.Finished || out.Steps != 6 {
		t.Errorf("6 steps after 4: %+v", out)
	}
}

// tree returns the contents of all files in a directory, by path.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == ".lock" { // the lock contains the id of the process
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 6 {
		t.Fatalf("only %d files in %s", len(files), dir)
	}
	return files
}

// TestWhatDoesNotMatter checks that the intervals of measuring, logging and saving and the number of threads do not change the
// weights.
func TestWhatDoesNotMatter(t *testing.T) {
	all := variants(t)
	for _, kind := range []string{"ae", "lm token loss", "ar"} {
		var want map[string]string
		for i, sets := range [][]string{{}, {"eval_steps=0"}, {"eval_steps=1", "eval_blocks=3"}, {"logging_steps=7", "save_steps=1"}} {
			o := all[kind]
			o.Steps, o.Out = 5, filepath.Join(t.TempDir(), "run")
			o.Set = append(slices.Clone(o.Set), sets...)
			trainTo(t, 1+i%3, 0, o)
			got := checkpointOf(t, o.Out, 5)
			if want == nil {
				want = got
			}
			sameCheckpoint(t, kind+" with "+strings.Join(sets, " "), got, want)
		}
	}
}

// TestKilledBeforeFirstCheckpoint removes all checkpoints of a run, as if it had been killed before the first one. Resuming it
// must give the same run.
func TestKilledBeforeFirstCheckpoint(t *testing.T) {
	for name, o := range variants(t) {
		o.Steps, o.Out = 3, filepath.Join(t.TempDir(), "whole")
		trainTo(t, 1, 0, o)
		whole, metrics := checkpointOf(t, o.Out, 3), metricsOf(t, o.Out)
		if err := os.RemoveAll(filepath.Join(o.Out, "state")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(o.Out, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
		trainTo(t, 2, 0, o)
		sameCheckpoint(t, name, checkpointOf(t, o.Out, 3), whole)
		if d := cmp.Diff(metrics, metricsOf(t, o.Out)); d != "" {
			t.Errorf("%s: metrics of the run that started again (+) differ:\n%s", name, d)
		}
	}
}
