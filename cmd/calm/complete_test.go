package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/calm-go/calm/run"
)

// completed returns the completions, without descriptions, of a command line whose last word is being typed.
func completed(t *testing.T, words ...string) []string {
	t.Helper()
	var list []string
	for line := range strings.Lines(must(t, append([]string{"__complete"}, words...)...).out) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, ":") {
			word, _, _ := strings.Cut(line, "\t")
			list = append(list, word)
		}
	}
	slices.Sort(list)
	return list
}

func TestComplete(t *testing.T) {
	r := tinyRuns(t)
	parent := filepath.Dir(r.ae)
	t.Chdir(filepath.Dir(parent))
	in := filepath.Base(parent) + "/"
	if err := os.MkdirAll(filepath.Join(parent, "other", "deep"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(r.ar, filepath.Join(parent, "other", "deep", "ar")); err != nil {
		t.Fatal(err)
	}
	ae, lm, ar := in+"ae", in+"lm", in+"other/deep/ar"
	for _, c := range []struct {
		want  []string
		words []string
	}{
		{[]string{ae, lm, ar}, []string{"eval", in}}, {[]string{lm, ar}, []string{"generate", in}}, {[]string{lm, ar}, []string{"bench", "generate", in}},
		{[]string{lm, ar}, []string{"bench", "brier", in}}, {[]string{ae, lm, ar}, []string{"info", in}}, {[]string{ae, lm, ar}, []string{"export", in}},
		{[]string{ae}, []string{"train", "lm", "--ae", in}}, {[]string{ae, lm, ar}, []string{"train", "--resume", in}}, {[]string{lm}, []string{"eval", in + "l"}},
		{[]string{filepath.Join(parent, "ae")}, []string{"eval", filepath.Join(parent, "a")}}, {nil, []string{"eval", in + "gone/"}},
		{[]string{"ae", "ar", "lm"}, []string{"train", ""}}, {[]string{"train"}, []string{"tr"}}, {[]string{"tokenizer", "train"}, []string{"help", "t"}}, {[]string{"ae", "ar"}, []string{"help", "train", "a"}}, {[]string{"quickstart", "quickstart-flow"}, []string{"train", "lm", "--preset", "q"}},
		{run.AE.Presets(), []string{"train", "ae", "--preset", ""}}, {[]string{"lm-bytes,ar-bytes"}, []string{"bench", "train", "--preset", "lm-bytes,ar-b"}},
		{run.AR.Presets(), []string{"info", "--model", "ar", "--preset", ""}},
		{[]string{"learning_rate=", "logging_steps=", "lr_scheduler_type="}, []string{"train", "--resume", lm, "--set", "l"}},
		{[]string{"hidden_act=", "hidden_size="}, []string{"train", "ae", "--set", "hidden_"}}, {[]string{"hidden_size="}, []string{"train", "lm", "--set", "hidden_"}},
		{[]string{"input=both", "input=latents", "input=tokens"}, []string{"train", "lm", "--set", "input="}}, {[]string{"dtype=", "noise_scale=", "sampling_steps=", "solver="}, []string{"eval", lm, "--set", ""}},
		{[]string{"dtype=bfloat16", "dtype=float32", "dtype=int8"}, []string{"generate", lm, "--set", "dtype="}}, {[]string{"solver=euler"}, []string{"generate", lm, "--set", "solver=e"}},
		{[]string{"batch", "exact", "prefix"}, []string{"generate", lm, "--sampler", ""}}, {[]string{ae, lm, ar}, []string{"serve", lm, in}}, {[]string{"all", "reference"}, []string{"eval", lm, "--windows", ""}},
		{[]string{"slide", "stop"}, []string{"generate", lm, "--context-full", ""}},
		{[]string{"energy", "flow"}, []string{"quickstart", "--head", ""}}, {[]string{"diffusion", "energy", "flow"}, []string{"bench", "generate", "--head", ""}},
		{[]string{"bfloat16", "float16", "float32"}, []string{"export", lm, "x", "--dtype", ""}},
	} {
		slices.Sort(c.want)
		if got := completed(t, c.words...); !slices.Equal(got, c.want) {
			t.Errorf("%q completes to %q, want %q", c.words, got, c.want)
		}
	}
}

// TestCompleteKeys checks that --set completes all keys of the kind.
func TestCompleteKeys(t *testing.T) {
	for _, kind := range kinds() {
		config, _ := object(t, must(t, "info", "--preset", "quickstart", "--model", kind, "--json").out)["config"].(map[string]any)
		for _, key := range keyTable("Every run").names { // --set does not take these
			delete(config, key)
		}
		got := completed(t, "train", kind, "--set", "")
		for key := range maps.Keys(config) {
			if !slices.Contains(got, key+"=") {
				t.Errorf("%s: %s is not completed", kind, key)
			}
		}
		if len(got) < len(config) || len(got) > len(config)+8 {
			t.Errorf("%s: %d keys for %d", kind, len(got), len(config))
		}
	}
}

// TestEveryFlagIsCompleted checks that every flag has a completion, except those that take any text or a number.
func TestEveryFlagIsCompleted(t *testing.T) {
	free := strings.Fields("addr api-key cors prompt ids stop noise steps data field help version")
	flags := 0
	each(newRoot(), func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			switch f.Value.Type() {
			case "string", "stringArray", "stringSlice":
			default:
				return // a number or a bool
			}
			flags++
			if _, ok := cmd.GetFlagCompletionFunc(f.Name); !ok && !slices.Contains(free, f.Name) {
				t.Errorf("%s --%s is not completed", cmd.CommandPath(), f.Name)
			}
		})
	})
	if flags < 40 {
		t.Errorf("%d flags", flags)
	}
}

// TestCompletionScripts checks that calm completion prints a script for every shell.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range shells {
		if got := must(t, "completion", shell); !strings.Contains(got.out, "__complete") || got.errOut != "" {
			t.Errorf("%s: %d bytes, %q", shell, len(got.out), got.errOut)
		}
	}
}

// TestNearest checks that the message for a mistyped command, flag or kind names the one that was meant.
func TestNearest(t *testing.T) {
	for want, args := range map[string][]string{
		"did you mean train?": {"trian"}, "did you mean eval?": {"evla", "x"}, "did you mean prepare?": {"data", "prepar"}, "did you mean encode?": {"tokenizer", "encod"},
		"did you mean gemm?": {"bench", "gem"}, "did you mean ae?": {"train", "vae"}, "did you mean --steps?": {"train", "ae", "--stpes", "3"},
		"did you mean --prompt?": {"generate", "x", "--pormpt=a"}, "did you mean --threads?": {"bench", "train", "--thread", "2"}, "did you mean --version?": {"--verison"}, "did you mean zsh?": {"completion", "zhs"},
		"did you mean generate?": {"help", "genrate"}, "did you mean prepare? (calm data --help": {"help", "data", "prepar"}, "has no command \"frob\"": {"help", "frob"}, "calm train ae has no command": {"help", "train", "ae", "x"},
		"see calm --help": {"frobnicate"}, "see calm eval --help": {"eval", "--frobnicate"},
	} {
		got := calmRun(args...)
		if got.status != exitUsage {
			t.Errorf("calm %q: want status 2: %v", args, got)
		}
		checkSentence(t, got, want)
	}
	// Every flag of every command, with its last two letters swapped.
	each(newRoot(), func(cmd *cobra.Command) {
		path := strings.Fields(cmd.CommandPath())[1:]
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if len(f.Name) < 4 || f.Hidden || f.Name == "blocks" { // --block is as close to the typo as --blocks
				return
			}
			slip := f.Name[:len(f.Name)-2] + f.Name[len(f.Name)-1:] + f.Name[len(f.Name)-2:len(f.Name)-1]
			if got := calmRun(append(path, "--"+slip)...); slip != f.Name && !strings.Contains(got.errOut, "; did you mean --"+f.Name+"?") {
				t.Errorf("%v --%s: %v", path, slip, got)
			}
		})
	})
}
