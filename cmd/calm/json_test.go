package main

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/train"
)

// object parses one JSON object.
func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return m
}

func wantKeys(t *testing.T, what string, m map[string]any, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if _, ok := m[key]; !ok {
			t.Errorf("%s has no %q, only %v", what, key, slices.Sorted(maps.Keys(m)))
		}
	}
}

func TestEvalJSON(t *testing.T) {
	r := tinyRuns(t)
	other := file(t, "another file.txt", strings.Repeat("old men sang to it\n", 20))
	for _, c := range []struct {
		kind, dir string
		flags     []string
		keys      []string
	}{
		{"ae", r.ae, []string{"--noise", "0.1,0.5"}, []string{"cross_entropy", "accuracy", "noise", "collapsed", "tokens"}},
		{"lm", r.lm, []string{"--samples", "4"}, []string{"energy_loss", "brier", "brier_lm", "brier_interval", "brier_lm_interval", "samples", "positions"}},
		{"ar", r.ar, nil, []string{"cross_entropy", "perplexity", "accuracy", "brier", "brier_lm", "brier_lm_interval", "positions", "rollouts"}},
	} {
		args := append([]string{"eval", c.dir, "--json"}, c.flags...)
		got := object(t, must(t, args...).out)
		wantKeys(t, "eval", got, "run", "text", "dtype", c.kind)
		metrics, _ := got[c.kind].(map[string]any)
		if c.kind != "ae" {
			checkMeasurable(t, "eval of "+c.kind, metrics)
		}
		wantKeys(t, "eval of "+c.kind, metrics, c.keys...)
		checkDocumented(t, "calm eval --json", got)
		if len(got) != 4 || got["dtype"] != "float32" {
			t.Errorf("eval of %s has %v", c.kind, slices.Sorted(maps.Keys(got)))
		}
		if c.kind == "ae" {
			if noise, _ := metrics["noise"].([]any); len(noise) != 2 {
				t.Errorf("two sigmas gave %v", metrics["noise"])
			}
		}
		again := object(t, must(t, append(args, "--threads", "1")...).out)
		for _, m := range []any{metrics, again[c.kind]} {
			delete(m.(map[string]any), "seconds")
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(again)
		if string(a) != string(b) {
			t.Errorf("measured again, on one thread, %s gives\n%s, not\n%s", c.kind, b, a)
		}
		if want := map[string]any{"part": "held out", "data": []any{r.text}}; !cmp.Equal(got["text"], want) {
			t.Errorf("measured on %v, want %v", got["text"], want)
		}
		whole := object(t, must(t, "eval", c.dir, "--json", "--data", r.text, "--data", other).out)
		if want := map[string]any{"part": "all", "data": []any{r.text, other}}; !cmp.Equal(whole["text"], want) {
			t.Errorf("measured on %v, want %v", whole["text"], want)
		}
		if text := must(t, "eval", c.dir).out; !strings.HasPrefix(text, c.dir+", held out of "+r.text+", float32 weights\n") {
			t.Errorf("eval printed %q", text)
		}
		if text := must(t, "eval", c.dir, "--data", r.text, "--data", other).out; !strings.HasPrefix(text, c.dir+", all of "+r.text+", "+other+", float32 weights\n") {
			t.Errorf("eval printed %q", text)
		}
	}
}

func TestInfoJSON(t *testing.T) {
	r := tinyRuns(t)
	for kind, dir := range map[string]string{"ae": r.ae, "lm": r.lm, "ar": r.ar} {
		got := object(t, must(t, "info", dir, "--json").out)
		wantKeys(t, "info", got, "run", "kind", "parameters", "trainable_parameters", "vocab_size", "config")
		if got["kind"] != kind || got["run"] != dir {
			t.Errorf("info of %s: %v", dir, got)
		}
		config, _ := got["config"].(map[string]any)
		wantKeys(t, "the configuration", config, "kind", "batch_size", "block_size", "learning_rate", "hidden_size", "max_steps")
		all, _ := got["parameters"].(float64)
		trained, _ := got["trainable_parameters"].(float64)
		if !(all >= trained && trained > 0) || kind == "lm" && all == trained {
			t.Errorf("%s has %v parameters, %v of them trained", kind, all, trained)
		}
		if text := must(t, "info", dir).out; !strings.HasPrefix(text, dir+": "+kind+", ") || !strings.Contains(text, "FLOPs") {
			t.Errorf("info printed %q", text)
		}
		checkArithmetic(t, kind, got)
	}
}

// checkArithmetic checks that the FLOPs in calm info --json are consistent.
func checkArithmetic(t *testing.T, kind string, info map[string]any) {
	t.Helper()
	flops, _ := info["flops"].(map[string]any)
	wantKeys(t, "the arithmetic", flops, "train_step", "train_step_attention", "train_step_token_loss", "train_token", "trained", "planned", "token_by_part")
	number := func(m map[string]any, key string) float64 { n, _ := m[key].(float64); return n }
	config, _ := info["config"].(map[string]any)
	step := number(flops, "train_step")
	same := func(what string, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 1e-9*want) || want <= 0 {
			t.Errorf("%s of %s: %v, want %v", what, kind, got, want)
		}
	}
	sum := func(parts any) (sum float64) {
		list, _ := parts.(map[string]any)
		for _, n := range list {
			sum += n.(float64)
		}
		return sum
	}
	same("the tokens of a step", step/number(flops, "train_token"), number(config, "batch_size")*number(config, "block_size"))
	same("trained", number(flops, "trained"), step*number(info, "steps"))
	same("planned", number(flops, "planned"), step*number(config, "max_steps"))
	parts, _ := info["parameters_by_part"].(map[string]any)
	same("parameters by part", sum(parts)-number(parts, "token_heads"), number(info, "parameters"))
	if kind == "ae" {
		return // an autoencoder does not generate
	}
	same("a token", sum(flops["token_by_part"]), number(flops, "token"))
	if number(flops, "context") == 0 {
		t.Errorf("%s: no context in %v", kind, flops)
	}
}

// checkMeasurable checks that BrierLM is null in scores exactly if they are not measurable, and reports whether it has a value.
func checkMeasurable(t *testing.T, what string, scores any) bool {
	t.Helper()
	m, _ := scores.(map[string]any)
	value, present := m["brier_lm"]
	measurable, ok := m["measurable"].(bool)
	if !ok || !present || measurable != (value != nil) {
		t.Errorf("%s: measurable is %v, brier_lm %v", what, m["measurable"], value)
	}
	return measurable
}

// TestBrierLMIsNull: where BrierLM has no value, metrics.jsonl and eval --json have null. (TestNotMeasurable checks what people see.)
func TestBrierLMIsNull(t *testing.T) {
	r, dir := tinyRuns(t), filepath.Join(t.TempDir(), "lm")
	// The first step has the rate 0, so all samples of this model are equal: Brier-1 is below 0.
	must(t, trainTiny("lm", dir, r.text, "--ae", r.ae, "--steps", "1")...)
	measured := 0
	for line, err := range train.ReadMetrics(dir) {
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := line.Values["brier_lm"]; line.Kind == train.EventMeasured {
			if measured++; !ok || !math.IsNaN(v) {
				t.Errorf("metrics.jsonl has brier_lm %v, %t; want NaN", v, ok)
			}
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl")); err != nil || measured == 0 || !strings.Contains(string(text), `"brier_lm":null`) {
		t.Errorf("%d measurements, %v, in\n%s", measured, err, text)
	}
	if checkMeasurable(t, "eval --json", object(t, must(t, "eval", dir, "--json").out)["lm"]) {
		t.Error("eval --json has a BrierLM")
	}
}

// TestInfoPreset checks calm info of presets.
func TestInfoPreset(t *testing.T) {
	for _, head := range []string{"energy", "flow", "diffusion"} {
		flops, _ := object(t, must(t, "info", "--preset", "lm-bytes", "--set", "model_type="+head, "--json").out)["flops"].(map[string]any)
		config, _ := object(t, must(t, "info", "--preset", "lm-bytes", "--set", "model_type="+head, "--json").out)["config"].(map[string]any)
		wantKeys(t, "the configuration of "+head, config, "model_type", "num_samples", "num_mlp_layers")
		parts, sum := flops["token_by_part"].(map[string]any), 0.
		for _, n := range parts {
			sum += n.(float64)
		}
		if whole, _ := flops["token"].(float64); math.Abs(sum-whole) > 1e-9*whole || whole == 0 || len(parts) != 3 {
			t.Errorf("%s: a token takes %v, its parts %v", head, whole, parts)
		}
	}
	got := object(t, must(t, "info", "--preset", "calm-xl", "--context", "2048", "--json").out)
	if trained, _ := got["trainable_parameters"].(float64); math.Round(trained/1e5) != 18298 {
		t.Errorf("%v parameters", trained)
	}
	flops, _ := got["flops"].(map[string]any)
	if token, _ := flops["token"].(float64); math.Round(token/1e6) != 971 {
		t.Errorf("a token takes %v", token)
	}
	half := []string{"info", "--preset", "quickstart", "--model", "lm", "--set", "token_loss_until=0.5", "--set", "max_steps=1000"}
	flops, _ = object(t, must(t, append(half, "--json")...).out)["flops"].(map[string]any)
	step, _ := flops["train_step"].(float64)
	loss, _ := flops["train_step_token_loss"].(float64)
	if planned, _ := flops["planned"].(float64); loss <= 0 || math.Abs(planned-(1000*step-500*loss)) > 1e-9*planned {
		t.Errorf("with half of 1000 steps without the token loss %v", flops)
	}
	if text := must(t, half...).out; !strings.Contains(text, " of a step in the token loss, on for the first 50 % of the steps\n") {
		t.Errorf("no end of the token loss in\n%s", text)
	}
	text := must(t, "info", "--preset", "quickstart", "--model", "lm").out
	for _, want := range []string{"preset quickstart: lm, ", "token heads ", "in a context of 32 positions: backbone "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, args := range [][]string{{}, {"--preset", "quickstart"}, {"--preset", "none"}, {"--preset", "calm-m", "--model", "ae"},
		{"runs", "--set", "block_size=4"}, {"runs", "--preset", "calm-m"}, {"--preset", "calm-m", "--set", "block_size=5"},
		{"--preset", "calm-m", "--context", "-1"}, {"--preset", "calm-m", "--set", "hidden_size=0"}} {
		if got := calmRun(append([]string{"info"}, args...)...); got.status != exitUsage || got.out != "" {
			t.Errorf("info %v: %+v", args, got)
		}
	}
}

// TestRunIsSelfContained moves a language model's run and its text, and removes its autoencoder's run. It must still work.
func TestRunIsSelfContained(t *testing.T) {
	r := tinyRuns(t)
	want := must(t, "generate", r.lm, "--seed", "3", "--threads", "1")
	moved := filepath.Join(t.TempDir(), "moved")
	if err := errors.Join(os.Rename(r.lm, moved), os.Rename(r.text, filepath.Join(filepath.Dir(moved), filepath.Base(r.text)))); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(r.ae)); err != nil {
		t.Fatal(err)
	}
	if got := must(t, "generate", moved, "--seed", "3", "--threads", "1"); got != want {
		t.Errorf("after the move it writes %v, before %v", got, want)
	}
	must(t, "eval", moved)
	must(t, "info", moved)
	must(t, "train", "--resume", moved, "--steps", "66")
}

// TestQuickstart runs calm quickstart with a few steps on the embedded book.
func TestQuickstart(t *testing.T) {
	if testing.Short() {
		t.Skip("measures on the whole held-out part of the book")
	}
	dir := t.TempDir()
	out, metrics := filepath.Join(dir, "q"), filepath.Join(dir, "metrics.json")
	got := must(t, "quickstart", "--steps", "3,3", "--out", out, "--json", metrics)
	for _, want := range []string{"1. An autoencoder", "2. A language model", "3. Measured", "4. It writes", "5. It writes", "The whale ", "\n  " + program() + " generate " + out + " --prompt 'Call me ' --seed 7\n"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("no %q in\n%s", want, got.out)
		}
	}
	data, err := os.ReadFile(metrics)
	if err != nil {
		t.Fatal(err)
	}
	m := object(t, string(data))
	wantKeys(t, "quickstart", m, "run", "ae", "lm", "unigram", "uniform", "steps", "seconds", "tokens_per_s")
	checkDocumented(t, quickstartSection, m)
	// Names and values must be those of eval. For the language model only the names are compared: measuring it takes long.
	ae, _ := object(t, must(t, "eval", out+"-ae", "--noise", "0.3", "--json").out)["ae"].(map[string]any)
	kept, _ := m["ae"].(map[string]any)
	ae["seconds"] = kept["seconds"]
	if len(ae) < 8 || !cmp.Equal(kept, ae) {
		t.Errorf("the quickstart measured the autoencoder as\n%v, eval as\n%v", kept, ae)
	}
	for _, name := range []string{"lm", "unigram", "uniform"} {
		if measurable := checkMeasurable(t, "quickstart: "+name, m[name]); name != "lm" && !measurable {
			t.Errorf("the quickstart has no BrierLM of %s", name)
		}
	}
	lm, _ := object(t, must(t, "eval", out, "--blocks", "2", "--json").out)["lm"].(map[string]any)
	kept, _ = m["lm"].(map[string]any)
	if a, b := slices.Sorted(maps.Keys(kept)), slices.Sorted(maps.Keys(lm)); len(b) < 8 || !slices.Equal(a, b) {
		t.Errorf("the quickstart has the keys %v for the language model, eval %v", a, b)
	}
	if steps, _ := json.Marshal(m["steps"]); string(steps) != "[3,3]" {
		t.Errorf("steps are %s", steps)
	}
	must(t, "info", out)
}
