package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestBadInput: one clear sentence, status 2, nothing written.
func TestBadInput(t *testing.T) {
	r := tinyRuns(t)
	work := t.TempDir()
	t.Chdir(work)
	empty, noText := file(t, "empty.txt", ""), t.TempDir()
	short := file(t, "short.txt", "Call me Ishmael.")
	badJSON, unknown := file(t, "bad.json", "{"), file(t, "unknown.json", `{"hidden_sice": 3}`)
	jsonl := file(t, "bad.jsonl", "{\"text\": \"fine\"}\nnot json\n")
	zeros := file(t, "binary.dat", "PK\x00\x00\x00")
	parquet := file(t, "bad.parquet", "PAR1 this is none")
	gone := filepath.Join(work, "gone.txt")
	long := strings.Repeat("long ", 20)
	prepared := filepath.Join(t.TempDir(), "prepared")
	must(t, "data", "prepare", "--data", r.text, "--out", prepared)
	cases := []struct {
		name string
		want string // a part of the sentence
		args []string
	}{
		{"empty file", "--data", trainTiny("ae", "x", empty)},
		{"no file in a directory", "--data", trainTiny("ae", "x", noText)},
		{"missing file", "gone.txt", trainTiny("ae", "x", gone)},
		{"too little text", "not enough text", trainTiny("ae", "x", short)},
		{"damaged JSON lines", "bad.jsonl", trainTiny("ae", "x", jsonl)},
		{"no text", "does not look like text", trainTiny("ae", "x", zeros)},
		{"damaged Parquet", "bad.parquet", trainTiny("ae", "x", parquet)},
		{"patches that do not fill blocks", "block_size", trainTiny("ae", "x", r.text, "--set", "block_size=18")},
		{"unknown key", "hidden_sice", trainTiny("ae", "x", r.text, "--set", "hidden_sice=3")},
		{"unknown key in a file", "did you mean hidden_size", trainTiny("ae", "x", r.text, "--config", unknown)},
		{"bad JSON", "bad.json:1", trainTiny("ae", "x", r.text, "--config", badJSON)},
		{"missing configuration", "--config", trainTiny("ae", "x", r.text, "--config", gone)},
		{"set without value", "--set", trainTiny("ae", "x", r.text, "--set", "hidden_size")},
		{"training in bfloat16", "training is in float32", trainTiny("ae", "x", r.text, "--set", "dtype=bfloat16")},
		{"a format there is not", "dtype", []string{"generate", r.lm, "--set", "dtype=float16"}},
		{"a format of what is described", "is for eval, generate", []string{"info", r.lm, "--set", "dtype=bfloat16"}},
		{"a key that is not of inference", "can be set", []string{"eval", r.lm, "--set", "hidden_size=3"}},
		{"no such preset", "no preset", trainTiny("ae", "x", r.text, "--preset", "big")},
		{"lm without ae", "needs an autoencoder", trainTiny("lm", "x", r.text)},
		{"lm with a tokenizer", "--tokenizer", trainTiny("lm", "x", r.text, "--ae", r.ae, "--tokenizer", "bytes")},
		{"ae that is none", "not an autoencoder", trainTiny("lm", "x", r.text, "--ae", r.lm)},
		{"ae that is no run", "not a run", trainTiny("lm", "x", r.text, "--ae", work)},
		{"ae for an ae", "--ae", trainTiny("ae", "x", r.text, "--ae", r.ae)},
		{"other patches than its autoencoder", "patch_size", trainTiny("lm", "x", r.text, "--ae", r.ae, "--set", "patch_size=2")},
		{"tokenizer that is missing", "--tokenizer", trainTiny("ae", "x", r.text, "--tokenizer", gone)},
		{"tokenizer that is none", "--tokenizer", trainTiny("ae", "x", r.text, "--tokenizer", badJSON)},
		{"llama tokenizer that is none", "--tokenizer", trainTiny("ae", "x", r.text, "--tokenizer", "llama3:"+badJSON)},
		{"run that exists", "is in the way", trainTiny("ae", r.ae, r.text)},
		{"directory with other files", "is in the way", trainTiny("ae", filepath.Dir(r.text), r.text)},
		{"file where the run is to be", "is in the way", trainTiny("ae", r.text, r.text)},
		{"kind that is none", "want ae, lm or ar", trainTiny("vae", "x", r.text)},
		{"no kind", "train takes", []string{"train", "--out", "x"}},
		{"no directory", "--out", []string{"train", "ae"}},
		{"negative steps", "--steps", trainTiny("ae", "x", r.text, "--steps", "-1")},
		{"negative minutes", "--minutes", trainTiny("ae", "x", r.text, "--minutes", "-1")},
		{"minutes that are none", "--minutes", trainTiny("ae", "x", r.text, "--minutes", "nan")},
		{"endless minutes", "--minutes", trainTiny("ae", "x", r.text, "--minutes", "inf")},
		{"negative threads", "--threads", trainTiny("ae", "x", r.text, "--threads", "-1")},
		{"resume nothing", "not a run", []string{"train", "--resume", gone}},
		{"resume with another seed", "--resume", []string{"train", "--resume", r.ae, "--seed", "3"}},
		{"resume with settings", "--resume", []string{"train", "--resume", r.ae, "--set", "seed=3"}},
		{"no run", "not a run", []string{"eval", gone}},
		{"two runs", "one run directory", []string{"eval", r.ae, r.lm}},
		{"one sample", "--samples", []string{"eval", r.lm, "--samples", "1"}},
		{"noise that is none", "--noise", []string{"eval", r.ae, "--noise", "0.1,loud"}},
		{"windows that are none", "--windows", []string{"eval", r.lm, "--windows", "some"}},
		{"blocks without a position", "too short", []string{"eval", r.ar, "--block", "4"}},
		{"negative noise", "--noise", []string{"eval", r.ae, "--noise", "-1"}},
		{"block that is no patches", "block", []string{"eval", r.lm, "--block", "30"}},
		{"negative block", "--block", []string{"eval", r.lm, "--block", "-4"}},
		{"missing text to measure", "gone.txt", []string{"eval", r.lm, "--data", gone}},
		{"short text to measure", "not enough text", []string{"eval", r.lm, "--data", short}},
		{"empty text to measure", "--data", []string{"eval", r.lm, "--data", empty}},
		{"generate with an autoencoder", "autoencoder", []string{"generate", r.ae}},
		{"prompt too long", "shorten it", []string{"generate", r.lm, "--prompt", long}},
		{"prompt too long for the baseline", "shorten it", []string{"generate", r.ar, "--prompt", long}},
		{"temperature 0", "--temperature", []string{"generate", r.lm, "--temperature", "0"}},
		{"temperature above 1", "--temperature", []string{"generate", r.lm, "--temperature", "1.1"}},
		{"temperature that is none", "--temperature", []string{"generate", r.lm, "--temperature", "nan"}},
		{"batch sampler between", "0.4", []string{"generate", r.lm, "--temperature", "0.4", "--sampler", "batch"}},
		{"sampler that is none", "sampler", []string{"generate", r.lm, "--sampler", "greedy"}},
		{"negative draws", "draws", []string{"generate", r.lm, "--draws", "-1"}},
		{"negative tokens", "max", []string{"generate", r.lm, "--max-tokens", "-1"}},
		{"negative threads to write", "--threads", []string{"generate", r.lm, "--threads", "-2"}},
		{"steps of an energy head", "in one step", []string{"eval", r.lm, "--set", "sampling_steps=4"}},
		{"solver that is none", "solver", []string{"generate", r.lm, "--set", "solver=magic"}},
		{"a step of an energy head", "in one step", []string{"eval", r.lm, "--set", "sampling_steps=0"}},
		{"solver of an energy head", "in one step", []string{"generate", r.lm, "--set", "solver=euler"}},
		{"draws at temperature 1", "one draw", []string{"generate", r.lm, "--draws", "50"}},
		{"batch sampler at temperature 1", "below 1", []string{"generate", r.lm, "--sampler", "batch"}},
		{"fewer draws than 1/T", "at least 2 draws", []string{"generate", r.lm, "--temperature", "0.5", "--sampler", "batch", "--draws", "1"}},
		{"draws of the baseline", "one draw a token", []string{"generate", r.ar, "--temperature", "0.5", "--draws", "50"}},
		{"samples of an autoencoder", "--samples", []string{"eval", r.ae, "--samples", "4"}},
		{"samples of the baseline", "--samples", []string{"eval", r.ar, "--samples", "8"}},
		{"noise of a language model", "--noise", []string{"eval", r.lm, "--noise", "0.1,0.3"}},
		{"noise of the baseline", "--noise", []string{"eval", r.ar, "--noise", "0.1"}},
		{"windows of an autoencoder", "--windows", []string{"eval", r.ae, "--windows", "all"}},
		{"windows of the baseline", "--windows", []string{"eval", r.ar, "--windows", "reference"}},
		{"windows of patches of four", "--windows", []string{"eval", r.lm, "--windows", "reference"}},
		{"tokenizer of prepared text", "--tokenizer", []string{"data", "info", prepared, "--tokenizer", "bytes"}},
		{"other keys of a trained model", "only dtype, sampling_steps, solver", []string{"generate", r.lm, "--set", "beta=.5"}},
		{"steps of a baseline", "only language models", []string{"eval", r.ar, "--set", "sampling_steps=4"}},
		{"head that is none", "model_type", trainTiny("lm", "x", r.text, "--ae", r.ae, "--set", "model_type=gan")},
		{"one step of diffusion", "sampling_steps", trainTiny("lm", "x", r.text, "--ae", r.ae, "--set", "model_type=diffusion", "--set", "sampling_steps=1")},
		{"no run to show", "not a run", []string{"info", gone}},
		{"unknown command", `"trian"`, []string{"trian"}},
		{"unknown command below", `"trian"`, []string{"tokenizer", "trian"}},
		{"unknown command of data", `"prep"`, []string{"data", "prep"}},
		{"unknown flag", "--stepz", []string{"train", "--stepz", "3"}},
		{"flag that is no number", "--steps", []string{"train", "ae", "--steps", "many"}},
		{"quickstart with arguments", "no arguments", []string{"quickstart", "now"}},
		{"quickstart with bad steps", "--steps", []string{"quickstart", "--steps", "3"}},
		{"quickstart with steps below 1", "--steps", []string{"quickstart", "--steps", "3,0"}},
		{"quickstart without time", "--minutes", []string{"quickstart", "--minutes", "0"}},
		{"quickstart with both", "not both", []string{"quickstart", "--steps", "3,3", "--minutes", "1"}},
		{"quickstart where something is", "is there already", []string{"quickstart", "--steps", "3,3", "--out", r.lm}},
		{"quickstart with figures nowhere", "--json", []string{"quickstart", "--steps", "3,3", "--json", "no/such/file"}},
		{"tokenizer without file", "--out", []string{"tokenizer", "train"}},
		{"tokenizer of missing text", "gone.txt", []string{"tokenizer", "train", "--out", "t.json", "--data", gone}},
		{"tokenizer too small", "vocab", []string{"tokenizer", "train", "--out", "t.json", "--data", r.text, "--vocab", "3"}},
		{"encode with nothing", "gone.txt", []string{"tokenizer", "encode", "--tokenizer", gone}},
		{"prepare without text", "--data", []string{"data", "prepare", "--out", "x"}},
		{"prepare missing text", "gone.txt", []string{"data", "prepare", "--out", "x", "--data", gone}},
		{"prepare empty text", "no text", []string{"data", "prepare", "--out", "x", "--data", empty}},
		{"info of missing text", "gone.txt", []string{"data", "info", gone}},
		{"info of empty text", "empty", []string{"data", "info", empty}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := calmRun(c.args...)
			if got.status != exitUsage {
				t.Errorf("calm %s: want status 2: %v", strings.Join(c.args, " "), got)
			}
			checkSentence(t, got, c.want)
			if left, _ := os.ReadDir(work); len(left) > 0 {
				t.Errorf("calm %s left %v", strings.Join(c.args, " "), left)
				for _, e := range left {
					os.RemoveAll(e.Name())
				}
			}
		})
	}
	if len(cases) < 60 {
		t.Errorf("%d cases", len(cases))
	}
}

// checkSentence wants one line on standard error that says want, and nothing on standard output.
func checkSentence(t *testing.T, got result, want string) {
	t.Helper()
	text, one := strings.CutSuffix(got.errOut, "\n")
	if !one || strings.Contains(text, "\n") || !strings.HasPrefix(text, "calm: ") || !strings.Contains(text, want) || len(text) > 500 {
		t.Errorf("want one sentence with %q: %v", want, got)
	}
	if got.out != "" {
		t.Errorf("it wrote %q", got.out)
	}
	for _, noise := range []string{"goroutine", "panic", "%!", "<nil>", "usage: calm"} {
		if strings.Contains(got.errOut, noise) {
			t.Errorf("%q in %q", noise, got.errOut)
		}
	}
}

// TestAllErrorsAtOnce: several keys are wrong in file and flags, and all are named, each with its place.
func TestAllErrorsAtOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	path := file(t, "c.json", "{\n \"patch_size\": 0,\n \"colour\": 1\n}")
	got := calmRun(trainTiny("ae", "x", tinyText(t), "--config", path, "--set", "batch_size=none", "--set", "adam_beta1=2")...)
	if got.status != exitUsage {
		t.Error(got)
	}
	for _, want := range []string{"4 problems", "c.json:2: patch_size = 0", "c.json:3: colour", "batch_size = none", "adam_beta1 = 2"} {
		if !strings.Contains(got.errOut, want) {
			t.Errorf("there is no %q in:\n%s", want, got.errOut)
		}
	}
	if _, err := os.Stat("x"); err == nil {
		t.Error("a directory was made")
	}
}

// TestDamagedRun: a run with a damaged file says which, fails with status 1, and loses nothing.
func TestDamagedRun(t *testing.T) {
	r := tinyRuns(t)
	model := filepath.Join(r.ar, "model.safetensors")
	good, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(r.ar, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[3] ^= 0x40 // of the header's length
	for name, c := range map[string]struct {
		file, want string
		data       []byte
	}{
		"truncated": {"model.safetensors", "model.safetensors", good[:len(good)/2]},
		"empty":     {"model.safetensors", "model.safetensors", nil},
		"header":    {"model.safetensors", "model.safetensors", flipped},
		"config":    {"config.json", "does not match", bytes.Replace(config, []byte(`"intermediate_size": 24`), []byte(`"intermediate_size": 25`), 1)},
		"layers":    {"config.json", "model.layers.1", bytes.Replace(config, []byte(`"num_hidden_layers": 1`), []byte(`"num_hidden_layers": 2`), 1)},
	} {
		path := filepath.Join(r.ar, c.file)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		replace(t, path, c.data)
		for _, verb := range []string{"info", "eval", "generate"} {
			got := calmRun(verb, r.ar)
			if got.status != exitFailed {
				t.Errorf("%s: calm %s: want status 1: %v", name, verb, got)
			}
			checkSentence(t, got, c.want)
		}
		if c.file == "config.json" {
			if got := calmRun("train", "--resume", r.ar, "--steps", "6"); got.status != exitFailed {
				t.Errorf("%s: resume: want status 1: %v", name, got)
			}
		}
		replace(t, path, before)
	}
	must(t, "info", r.ar)
}

// replace gives a name another file, as weights may have several names.
func replace(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedCheckpoint: resuming goes back to the checkpoint before a damaged one, says so, and ends where it would have.
func TestDamagedCheckpoint(t *testing.T) {
	text, out := tinyText(t), filepath.Join(t.TempDir(), "ae")
	must(t, trainTiny("ae", out, text, "--steps", "6", "--set", "save_steps=3")...)
	path := filepath.Join(out, "state", "step-6", "optimizer.safetensors")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, path, good[:len(good)-1])
	got := must(t, "train", "--resume", out)
	if !strings.Contains(got.errOut, "going back to the checkpoint of step 3") {
		t.Error(got)
	}
	again, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(good, again) {
		t.Errorf("the step was made again and differs (%v)", err)
	}
	// With no checkpoint left there is nothing to go back to, and no silent start from the beginning.
	for _, step := range []string{"step-3", "step-6"} {
		state := filepath.Join(out, "state", step, "state.json")
		replace(t, state, []byte("{}"))
	}
	if got := calmRun("train", "--resume", out); got.status != exitFailed || !strings.Contains(got.errOut, "no checkpoint of") {
		t.Errorf("all checkpoints are damaged: %v", got)
	}
}

// TestShortPatches: what has an effect only where patches are short is taken there, and the other way round.
func TestShortPatches(t *testing.T) {
	text, dir := tinyText(t), t.TempDir()
	ae, lm := filepath.Join(dir, "ae"), filepath.Join(dir, "lm")
	must(t, trainTiny("ae", ae, text, "--steps", "2", "--set", "patch_size=2")...)
	must(t, trainTiny("lm", lm, text, "--ae", ae, "--steps", "2")...)
	fewer := must(t, "eval", lm, "--samples", "2", "--windows", "reference").out
	if all := must(t, "eval", lm, "--windows", "all").out; fewer == all || !strings.Contains(all, "rollouts") {
		t.Errorf("the reference's windows give\n%sall give\n%s", fewer, all)
	}
	got := calmRun("eval", lm, "--samples", "8")
	if got.status != exitUsage {
		t.Errorf("want status 2: %v", got)
	}
	checkSentence(t, got, "always 2")
}

// TestFlagsThatAreNoNumbers: every flag with a number, of every command, says in words what it wants.
func TestFlagsThatAreNoNumbers(t *testing.T) {
	checked := map[string]bool{}
	each(newRoot(), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			bad := map[string][]string{"int": {"many", "1.5", "99999999999999999999"}, "uint64": {"-1", "99999999999999999999"}, "float64": {"many", "1e999"},
				"intSlice": {"1,x"}, "bool": {"maybe"}}[f.Value.Type()]
			for _, value := range bad {
				checked[f.Value.Type()] = true
				got := calmRun(append(strings.Fields(cmd.CommandPath())[1:], "--"+f.Name+"="+value)...)
				if got.status != exitUsage || strings.Contains(got.errOut, "strconv") || strings.Contains(got.errOut, "parsing") {
					t.Errorf("%s --%s: %v", cmd.CommandPath(), f.Name, got)
				}
				checkSentence(t, got, fmt.Sprintf("--%s %q: want ", f.Name, value))
			}
		})
	})
	if len(checked) != 5 {
		t.Errorf("only flags of %v", checked)
	}
}
