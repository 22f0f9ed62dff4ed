package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/calm-go/calm/internal/checkpoint"
)

// checkSentence checks that standard error is one line with the text want, and that standard output is empty.
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

// TestAllErrorsAtOnce checks that the error lists all wrong keys of file and flags, each with its place.
func TestAllErrorsAtOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	path := file(t, "c.json", "{\n \"patch_size\": 0,\n \"colour\": 1\n}")
	got := calmRun(trainTiny("ae", "x", tinyText(t), "--config", path, "--set", "batch_size=none", "--set", "adam_beta1=2")...)
	if got.status != exitUsage {
		t.Error(got)
	}
	for _, want := range []string{"4 problems", "c.json:2: patch_size = 0", "c.json:3: colour", "batch_size = none", "adam_beta1 = 2"} {
		if !strings.Contains(got.errOut, want) {
			t.Errorf("no %q in:\n%s", want, got.errOut)
		}
	}
	if _, err := os.Stat("x"); err == nil {
		t.Error("a directory was made")
	}
}

// TestDamagedRun checks commands on a run with a damaged file: they name the file, fail with status 1 and change nothing.
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
		"rate":      {"config.json", "config.json was changed after calm wrote it", bytes.Replace(config, []byte(`"learning_rate": 0.001`), []byte(`"learning_rate": 0.003`), 1)},
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
			want := c.want
			if c.file == "config.json" {
				want = "config.json was changed after calm wrote it"
			}
			checkSentence(t, got, want)
		}
		if c.file == "config.json" && name != "rate" { // a change that does not fit the weights cannot be accepted
			got := calmRun("train", "--resume", r.ar, "--steps", "6", "--accept-config")
			if got.status != exitFailed {
				t.Errorf("%s: resume: want status 1: %v", name, got)
			}
			checkSentence(t, got, "model.safetensors")
		}
		replace(t, path, before)
	}
	must(t, "info", r.ar)
}

// accept makes the checkpoints of a run accept its present config.json.
func accept(t *testing.T, dir string) {
	t.Helper()
	r, err := checkpoint.ResumeRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.AcceptFiles(), r.Close()); err != nil {
		t.Fatal(err)
	}
}

// replace replaces a file by a new one. It does not write into the old file, which may have other hard links.
func replace(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedCheckpoint checks that resuming goes back to the checkpoint before a damaged one, says so, and ends with the same
// weights.
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
	// Without an intact checkpoint, resuming must fail, not silently start from the beginning.
	for _, step := range []string{"step-3", "step-6"} {
		state := filepath.Join(out, "state", step, "state.json")
		replace(t, state, []byte("{}"))
	}
	if got := calmRun("train", "--resume", out); got.status != exitFailed || !strings.Contains(got.errOut, "no checkpoint of") {
		t.Errorf("all checkpoints are damaged: %v", got)
	}
}

// TestShortPatches checks flags of eval for patches of fewer than four tokens: --windows has an effect, and --samples is refused.
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

// TestFlagsThatAreNoNumbers checks that every numeric flag of every command says in words which values it wants.
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
