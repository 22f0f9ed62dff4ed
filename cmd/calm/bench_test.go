package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/bench"
)

// benchRun runs `calm bench` in this process.
func benchRun(ctx context.Context, args ...string) result {
	return calmUnder(ctx, append([]string{"bench"}, args...)...)
}

// tinyBench are settings that make the preset lm-bytes small.
var tinyBench = sets("hidden_size=16", "intermediate_size=24", "num_hidden_layers=1", "num_attention_heads=2", "num_key_value_heads=1",
	"num_samples=2", "target_samples=4")

// TestBenchJSON checks that every subcommand prints one JSON object in each line, with the common keys and its own.
func TestBenchJSON(t *testing.T) {
	t.Setenv("CALM_DATA", "")
	for name, c := range map[string]struct {
		args []string
		keys string // further keys of its lines
	}{
		"gemm":      {[]string{"gemm", "--preset", "lm-bytes"}, "flops gflops peak_gflops fraction_of_peak"},
		"train":     {append([]string{"train", "--model", "lm", "--preset", "lm-bytes", "--batch", "2", "--tokens", "16"}, tinyBench...), "flops gflops peak_gflops fraction_of_peak tokens_per_s"},
		"profile":   {append([]string{"train", "--preset", "lm-bytes", "--profile"}, tinyBench...), "ms_median"},
		"generate":  {append([]string{"generate", "--preset", "lm-bytes", "--prompt", "16", "--temperature", "0.5"}, tinyBench...), "tokens_per_s"},
		"brier":     {append([]string{"brier", "--preset", "lm-bytes", "--set", "patch_size=2", "--tokens", "16", "--blocks", "1"}, tinyBench...), "loop_ms cached_loop_ms speedup rollouts"},
		"tokenizer": {[]string{"tokenizer", "--vocab", "280"}, "mb_per_s tokens_per_s"},
	} {
		got := benchRun(t.Context(), append(c.args, "--json", "--seconds", "0.001", "--threads", "2")...)
		if got.status != exitDone || got.errOut != "" {
			t.Fatalf("%s: %v", name, got)
		}
		lines := strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
		for _, line := range lines {
			var r map[string]any
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%s: %v: %s", name, err, line)
			}
			for _, key := range strings.Fields("name shape threads isa ms_median runs " + c.keys) {
				if _, ok := r[key]; !ok {
					t.Errorf("%s: no %q in %s", name, key, line)
				}
			}
			checkDocumented(t, "calm bench --json", r)
			if s, _ := r["shape"].(string); s == "" {
				t.Errorf("%s: no shape in %s", name, line)
			}
		}
	}
}

// TestBenchAll checks that bench all runs every measurement.
func TestBenchAll(t *testing.T) {
	t.Setenv("CALM_DATA", "")
	var verbs []string
	for _, cmd := range newBench().Commands() {
		if cmd.Name() != "all" {
			verbs = append(verbs, cmd.Name())
		}
	}
	kinds := bench.Kinds()
	slices.Sort(verbs)
	if slices.Sort(kinds); !slices.Equal(kinds, verbs) {
		t.Errorf("all measures %v, the commands are %v", kinds, verbs)
	}
	got := benchRun(t.Context(), "all", "--quick", "--seconds", "0.001", "--json")
	if got.status != exitDone || got.errOut != "" {
		t.Fatal(got)
	}
	for _, want := range append(kinds, "generate/decode") {
		if !strings.Contains(got.out, `{"name":"`+want+"/") {
			t.Errorf("no line of %s in\n%s", want, got.out)
		}
	}
	if !strings.Contains(got.out, "T=1,") || !strings.Contains(got.out, "T=0.5 prefix") {
		t.Errorf("not both temperatures in\n%s", got.out)
	}
}

// TestBenchDefaults checks that the default flags of every command are valid. The context has ended, so nothing is measured after
// the check of the flags.
func TestBenchDefaults(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{{}, {"all"}, {"all", "--quick"}, {"gemm"}, {"train"}, {"generate"}, {"brier"}, {"tokenizer"}} {
		got := benchRun(ctx, args...)
		if got.status != exitInterrupted {
			t.Errorf("bench %v: want status 130: %v", args, got)
		}
		checkSentence(t, got, "interrupted")
	}
}

// TestBenchTable checks that the table has a line for the machine, one for the columns, and one for each measurement.
func TestBenchTable(t *testing.T) {
	got := benchRun(t.Context(), append([]string{"train", "--preset", "lm-bytes", "--seconds", "0.001", "--isa", "portable", "--threads", "1"}, tinyBench...)...)
	lines := strings.Split(got.out, "\n")
	if got.status != exitDone || len(lines) != 4 {
		t.Fatal(got)
	}
	for i, want := range []string{"portable, 1 of ", "median ms", "train/lm-bytes"} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %q, want %q in it", i+1, lines[i], want)
		}
	}
}

// TestBenchBadInput checks that every mistake gives one clear sentence and status 2, and that nothing is measured.
func TestBenchBadInput(t *testing.T) {
	cases := []struct {
		want string // a part of the sentence
		args []string
	}{
		{`"gem"`, []string{"gem"}},
		{"no arguments", []string{"gemm", "512"}},
		{"no arguments", []string{"all", "gemm"}},
		{"--threads", []string{"gemm", "--threads", "-1"}},
		{"--threads", []string{"all", "--threads", "-1"}},
		{"--seconds", []string{"--seconds", "0"}},
		{"--seconds", []string{"train", "--seconds", "-2"}},
		{"--seconds", []string{"tokenizer", "--seconds", "nan"}},
		{"--seconds", []string{"train", "--seconds", "soon"}},
		{"--isa sse9: this machine has", []string{"gemm", "--isa", "sse9"}},
		{"lm-huge", []string{"train", "--preset", "lm-huge"}},
		{"ae, lm or ar", []string{"train", "--model", "vae"}},
		{"--model", []string{"train", "--preset", "quickstart"}},
		{"hidden_sice", []string{"train", "--preset", "lm-bytes", "--set", "hidden_sice=3"}},
		{"block_size", []string{"train", "--preset", "lm-bytes", "--tokens", "6"}},
		{"--batch", []string{"train", "--preset", "lm-bytes", "--batch", "-6"}},
		{"--peer", []string{"train", "--preset", "lm-bytes", "--peer", "none.json"}},
		{"leave out --set", []string{"train", "--preset", "lm-bytes", "--peer", "none.json", "--batch", "2"}},
		{"--temperature", []string{"generate", "--temperature", "-0.1"}},
		{"one draw", []string{"generate", "--draws", "5"}},
		{"--draws", []string{"generate", "--temperature", "0.5", "--draws", "-5"}},
		{"use the prefix sampler", []string{"generate", "--preset", "lm-bytes", "--temperature", "0", "--sampler", "exact"}},
		{"--sampler", []string{"generate", "--sampler", "greedy"}},
		{"--prompt", []string{"generate", "--prompt", "0"}},
		{"--steps", []string{"generate", "--preset", "lm-bytes", "--head", "flow", "--steps", "0"}},
		{"--blocks", []string{"brier", "--blocks", "0"}},
		{"patch_size=2", []string{"brier", "--preset", "lm-bytes"}},
		{"one run", []string{"brier", "a", "b"}},
		{"not a run", []string{"generate", t.TempDir()}},
		{"one run", []string{"generate", "a", "b"}},
		{"--vocab", []string{"tokenizer", "--vocab", "1"}},
		{"--profil", []string{"train", "--profil"}},
	}
	for _, c := range cases {
		got := benchRun(t.Context(), c.args...)
		if got.status != exitUsage {
			t.Errorf("calm bench %s: want status 2: %v", strings.Join(c.args, " "), got)
		}
		checkSentence(t, got, c.want)
	}
}

// TestBenchInterrupted checks that Ctrl-C ends a measurement with one sentence.
func TestBenchInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, verb := range []string{"gemm", "train", "generate", "brier", "tokenizer", "all"} {
		got := benchRun(ctx, verb, "--seconds", "100")
		if got.status != exitInterrupted {
			t.Errorf("%s: want status 130: %v", verb, got)
		}
		checkSentence(t, got, "interrupted")
	}
}

// TestBenchRun measures generation with a run's weights. A run of another kind is refused.
func TestBenchRun(t *testing.T) {
	r := tinyRuns(t)
	for _, args := range [][]string{{r.lm}, {r.lm, "--temperature", "0.5", "--sampler", "batch", "--draws", "50"}, {r.lm, "--temperature", "0"},
		{r.ar}, {r.ar, "--temperature", "0.5"}, {r.ar, "--temperature", "0"}} {
		got := benchRun(t.Context(), append([]string{"generate", "--json", "--prompt", "8", "--seconds", "0.001"}, args...)...)
		name := filepath.Base(args[0])
		if got.status != exitDone || !strings.Contains(got.out, `"generate/prefill/`+name+`"`) || !strings.Contains(got.out, `"generate/decode/`+name+`"`) {
			t.Errorf("%v: %v", args, got)
		}
		for _, key := range []string{`"draws"`, `"tokens_per_draw"`, `"head_ms"`, `"decoder_patch_ms"`, `"decoder_token_ms"`, `"backbone_ms"`} {
			if strings.Contains(got.out, key) != (args[0] == r.lm) {
				t.Errorf("%v: %s in or not in %s", args, key, got.out)
			}
		}
	}
	checkSentence(t, benchRun(t.Context(), "generate", r.ar, "--prompt", "8", "--temperature", "0.5", "--sampler", "batch"), "divides its logits")
	got := benchRun(t.Context(), "generate", r.ae)
	if got.status != exitUsage {
		t.Errorf("want status 2: %v", got)
	}
	checkSentence(t, got, "want a language model's")
}
