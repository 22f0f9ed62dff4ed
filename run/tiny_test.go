package run_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/train"
)

// tinyText writes a file of a few kilobytes of words. They are the same every time.
func tinyText(t testing.TB) string {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the whale swam round and round a ship of oak while old men sang to it until morning came")
	var b strings.Builder
	for b.Len() < 6000 {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(" \n"[r.IntN(8)/7])
	}
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Settings of models so small that a step takes about a millisecond.
var (
	tinyAE = []string{"hidden_size=16", "intermediate_size=24", "latent_size=8", "block_size=16", "batch_size=2", "eval_blocks=2",
		"warmup_steps=2", "logging_steps=1", "eval_steps=2", "save_steps=3"}
	tinyLM = append(slices.Clone(tinyLanguage), "noise_size=6", "target_samples=4") // with the energy head
	// tinyLanguage are the settings of a language model with any head.
	tinyLanguage = []string{"hidden_size=16", "intermediate_size=24", "num_hidden_layers=1", "num_attention_heads=2", "num_key_value_heads=1",
		"num_samples=2", "block_size=32", "batch_size=2", "eval_blocks=2",
		"warmup_steps=2", "logging_steps=1", "eval_steps=2", "save_steps=3"}
	tinyAR = []string{"hidden_size=16", "intermediate_size=24", "num_hidden_layers=1", "num_attention_heads=2", "num_key_value_heads=1",
		"block_size=16", "batch_size=2", "eval_blocks=2", "warmup_steps=2", "logging_steps=1", "eval_steps=2", "save_steps=3"}
)

func engine(t testing.TB, threads int) *cpu.Engine {
	t.Helper()
	eng := cpu.New(cpu.Options{Threads: threads})
	t.Cleanup(eng.Close)
	return eng
}

// trainTo creates a run, or resumes it if o.Out is one, and trains as stopAfter does.
func trainTo(t testing.TB, threads, stopAt int, o run.Options) train.Outcome {
	t.Helper()
	var (
		tr  *run.Training
		err error
	)
	if _, missing := os.Stat(filepath.Join(o.Out, "config.json")); missing != nil {
		tr, err = run.Create(t.Context(), engine(t, threads), o)
	} else {
		tr, _, err = run.Resume(t.Context(), engine(t, threads), o.Out, run.ResumeOptions{Steps: o.Steps})
	}
	if err != nil {
		t.Fatal(err)
	}
	return stopAfter(t, stopAt, tr)
}

// stopAfter trains until stopAt steps are made, or to the end if stopAt is 0, and closes the run.
func stopAfter(t testing.TB, stopAt int, tr *run.Training) train.Outcome {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	tr.Progress = func(e train.Event) {
		if e.Kind == train.EventStep && e.Step == stopAt {
			stop()
		}
	}
	out, err := tr.Do(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// checkpointOf returns the files of weights and moments in the checkpoint of a step.
func checkpointOf(t testing.TB, dir string, step int) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"model.safetensors", "optimizer.safetensors"} {
		data, err := os.ReadFile(filepath.Join(dir, "state", "step-"+strconv.Itoa(step), name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(data)
	}
	return files
}

func sameCheckpoint(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s: %s differs", what, name)
		}
	}
	if len(want) != 2 {
		t.Fatalf("%d files to compare", len(want))
	}
}

// metricsOf returns the lines of metrics.jsonl without times and speeds.
func metricsOf(t testing.TB, dir string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		delete(m, "seconds")
		delete(m, "tokens_per_s")
		lines = append(lines, fmt.Sprint(m))
	}
	return lines
}
