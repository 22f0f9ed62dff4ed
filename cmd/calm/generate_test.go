package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestGenerate(t *testing.T) {
	r := tinyRuns(t)
	for _, dir := range []string{r.lm, r.ar} {
		args := []string{"generate", dir, "--prompt", "the whale", "--seed", "5"}
		first := must(t, args...)
		if again := must(t, args...); again.out != first.out {
			t.Errorf("the same seed wrote\n%q and\n%q", first.out, again.out)
		}
		if other := must(t, append(args, "--seed", "6")...); other.out == first.out {
			t.Errorf("seeds 5 and 6 both wrote %q", first.out)
		}
		if threads := must(t, append(args, "--threads", "1")...); threads.out != first.out {
			t.Errorf("one thread wrote\n%q, all\n%q", threads.out, first.out)
		}
		if !strings.HasPrefix(first.out, "the whale") || !strings.HasSuffix(first.out, "\n") || len(first.out) < 11 {
			t.Errorf("%s wrote %q", dir, first.out)
		}
		if piped := calmWith("the whale", "generate", dir, "--prompt", "-", "--seed", "5"); piped != first {
			t.Errorf("the prompt from standard input gives %v, not %v", piped, first)
		}
		if !strings.Contains(first.errOut, "context") && !strings.Contains(first.errOut, "calm: ") {
			// The untrained model almost never ends a text: it writes until the context of 32 tokens is full.
			t.Errorf("no message at the end of the context: %v", first)
		}
		few := must(t, append(args, "--max-tokens", "3")...)
		if got := strings.TrimSuffix(strings.TrimPrefix(few.out, "the whale"), "\n"); got == "" || len(got) > 9 { // three bytes, of which each invalid one is shown as three
			t.Errorf("three tokens are %q", got)
		}
		if no := must(t, "generate", dir, "--max-tokens", "2"); !strings.HasSuffix(no.out, "\n") {
			t.Errorf("without a prompt it wrote %q", no.out)
		}
	}
}

// TestOverBudget checks generation when no patch is accepted within the number of draws: an error, after the text written so far.
func TestOverBudget(t *testing.T) {
	r := tinyRuns(t)
	got := calmRun("generate", r.lm, "--prompt", "the whale", "--temperature", "0.1", "--sampler", "exact", "--draws", "12")
	if got.status != exitFailed || got.out != "the whale\n" && !strings.HasPrefix(got.out, "the whale") {
		t.Errorf("want status 1 and the prompt: %v", got)
	}
	for _, want := range []string{"calm: ", "patch ", "12", "0.1"} {
		if !strings.Contains(got.errOut, want) {
			t.Errorf("no %q in %q", want, got.errOut)
		}
	}
	if strings.Count(got.errOut, "\n") != 1 {
		t.Errorf("more than a sentence: %q", got.errOut)
	}
}

// TestSamplers: below temperature 1 every text ends, with any sampler that takes the temperature. Zero writes what is most
// frequent, with the prefix sampler unless another is named.
func TestSamplers(t *testing.T) {
	r := tinyRuns(t)
	write := func(dir string, args ...string) string {
		return must(t, append([]string{"generate", dir, "--prompt", "the whale", "--max-tokens", "8"}, args...)...).out
	}
	for _, args := range [][]string{{"--temperature", "0.5"}, {"--temperature", "0.7"}, {"--temperature", "0.01"}, {"--temperature", "0"},
		{"--temperature", "0.7", "--draws", "5"}, {"--temperature", "0.5", "--sampler", "batch", "--draws", "20"}, {"--temperature", "0", "--sampler", "batch"}} {
		if out := write(r.lm, args...); len(out) < 12 {
			t.Errorf("%v wrote %q", args, out)
		}
	}
	for _, T := range []string{"0.5", "0"} {
		unasked, named := write(r.lm, "--temperature", T), write(r.lm, "--temperature", T, "--sampler", "prefix", "--draws", "64")
		if unasked != named {
			t.Errorf("T = %s: unasked %q, with --sampler prefix --draws 64 %q", T, unasked, named)
		}
	}
	if first, second := write(r.ar, "--temperature", "0"), write(r.ar, "--temperature", "0", "--seed", "9"); first != second {
		t.Errorf("the baseline's likeliest tokens depend on the seed: %q and %q", first, second)
	}
}

// TestDiverged checks that a training that diverges names the step, and keeps the last good weights.
func TestDiverged(t *testing.T) {
	text, out := tinyText(t), filepath.Join(t.TempDir(), "ae")
	got := calmRun(trainTiny("ae", out, text, "--steps", "50", "--set", "learning_rate=1e6", "--set", "max_grad_norm=0", "--set", "eval_steps=0")...)
	if got.status != exitFailed || !strings.Contains(got.errOut, "training diverged at step ") {
		t.Fatalf("want status 1: %v", got)
	}
	must(t, "info", out)
}

// TestDTypes checks that generate and eval work with weights in bfloat16 and int8.
func TestDTypes(t *testing.T) {
	r := tinyRuns(t)
	for _, dir := range []string{r.lm, r.ar} {
		for _, d := range []string{"bfloat16", "int8"} {
			args := []string{"generate", dir, "--prompt", "the whale", "--set", "dtype=" + d}
			first := must(t, args...)
			if again := must(t, append(args, "--threads", "1")...); again != first || !strings.HasPrefix(first.out, "the whale") {
				t.Errorf("%v and %v", first, again)
			}
			if got := must(t, "eval", dir, "--set", "dtype="+d); !strings.Contains(got.out, ", "+d+" weights\n") {
				t.Errorf("the format is not named in:\n%s", got.out)
			}
		}
	}
}
