package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// badCase is a command line with a mistake.
type badCase struct {
	name string
	want string // a part of the sentence
	args []string
}

// badInput has good runs, and files that are wrong input for commands.
type badInput struct {
	runs
	work, gone                                                              string // the working directory, and a file that does not exist
	empty, noText, short, badJSON, unknown, jsonl, zeros, parquet, prepared string
}

// TestBadInput checks that every mistake gives one clear sentence and status 2, and that nothing is written.
func TestBadInput(t *testing.T) {
	work := t.TempDir()
	b := badInput{
		runs: tinyRuns(t), work: work, gone: filepath.Join(work, "gone.txt"),
		empty: file(t, "empty.txt", ""), noText: t.TempDir(), short: file(t, "short.txt", "Call me Ishmael."),
		badJSON: file(t, "bad.json", "{"), unknown: file(t, "unknown.json", `{"hidden_sice": 3}`),
		jsonl: file(t, "bad.jsonl", "{\"text\": \"fine\"}\nnot json\n"), zeros: file(t, "binary.dat", "PK\x00\x00\x00"),
		parquet: file(t, "bad.parquet", "PAR1 this is none"), prepared: filepath.Join(t.TempDir(), "prepared"),
	}
	must(t, "data", "prepare", "--data", b.text, "--out", b.prepared)
	t.Chdir(work)
	cases := slices.Concat(b.training(), b.measuring(), b.writing(), b.others())
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

// training lists mistakes with calm train.
func (b badInput) training() []badCase {
	return []badCase{
		{"empty file", "--data", trainTiny("ae", "x", b.empty)},
		{"no file in a directory", "--data", trainTiny("ae", "x", b.noText)},
		{"missing file", "gone.txt", trainTiny("ae", "x", b.gone)},
		{"too little text", "not enough text", trainTiny("ae", "x", b.short)},
		{"damaged JSON lines", "bad.jsonl", trainTiny("ae", "x", b.jsonl)},
		{"no text", "does not look like text", trainTiny("ae", "x", b.zeros)},
		{"damaged Parquet", "bad.parquet", trainTiny("ae", "x", b.parquet)},
		{"patches that do not fill blocks", "block_size", trainTiny("ae", "x", b.text, "--set", "block_size=18")},
		{"unknown key", "hidden_sice", trainTiny("ae", "x", b.text, "--set", "hidden_sice=3")},
		{"unknown key in a file", "did you mean hidden_size", trainTiny("ae", "x", b.text, "--config", b.unknown)},
		{"bad JSON", "bad.json:1", trainTiny("ae", "x", b.text, "--config", b.badJSON)},
		{"missing configuration", "--config", trainTiny("ae", "x", b.text, "--config", b.gone)},
		{"set without value", "--set", trainTiny("ae", "x", b.text, "--set", "hidden_size")},
		{"training in bfloat16", "training is in float32", trainTiny("ae", "x", b.text, "--set", "dtype=bfloat16")},
		{"no such preset", "no preset", trainTiny("ae", "x", b.text, "--preset", "big")},
		{"lm without ae", "needs an autoencoder", trainTiny("lm", "x", b.text)},
		{"lm with a tokenizer", "--tokenizer", trainTiny("lm", "x", b.text, "--ae", b.ae, "--tokenizer", "bytes")},
		{"ae of another kind", "not an autoencoder", trainTiny("lm", "x", b.text, "--ae", b.lm)},
		{"ae that is no run", "not a run", trainTiny("lm", "x", b.text, "--ae", b.work)},
		{"ae for an ae", "--ae", trainTiny("ae", "x", b.text, "--ae", b.ae)},
		{"other patches than its autoencoder", "patch_size", trainTiny("lm", "x", b.text, "--ae", b.ae, "--set", "patch_size=2")},
		{"tokenizer that is missing", "--tokenizer", trainTiny("ae", "x", b.text, "--tokenizer", b.gone)},
		{"invalid tokenizer", "--tokenizer", trainTiny("ae", "x", b.text, "--tokenizer", b.badJSON)},
		{"invalid llama tokenizer", "--tokenizer", trainTiny("ae", "x", b.text, "--tokenizer", "llama3:"+b.badJSON)},
		{"run that exists", "is in the way", trainTiny("ae", b.ae, b.text)},
		{"directory with other files", "is in the way", trainTiny("ae", filepath.Dir(b.text), b.text)},
		{"file in place of the run", "is in the way", trainTiny("ae", b.text, b.text)},
		{"unknown kind", "want ae, lm or ar", trainTiny("vae", "x", b.text)},
		{"no kind", "train takes", []string{"train", "--out", "x"}},
		{"no directory", "--out", []string{"train", "ae"}},
		{"negative steps", "--steps", trainTiny("ae", "x", b.text, "--steps", "-1")},
		{"negative minutes", "--minutes", trainTiny("ae", "x", b.text, "--minutes", "-1")},
		{"minutes that are not a number", "--minutes", trainTiny("ae", "x", b.text, "--minutes", "nan")},
		{"endless minutes", "--minutes", trainTiny("ae", "x", b.text, "--minutes", "inf")},
		{"negative threads", "--threads", trainTiny("ae", "x", b.text, "--threads", "-1")},
		{"resume nothing", "not a run", []string{"train", "--resume", b.gone}},
		{"resume with another seed", "--resume", []string{"train", "--resume", b.ae, "--seed", "3"}},
		{"resume with settings", "--resume", []string{"train", "--resume", b.ae, "--set", "seed=3"}},
		{"unknown head", "model_type", trainTiny("lm", "x", b.text, "--ae", b.ae, "--set", "model_type=gan")},
		{"one step of diffusion", "sampling_steps", trainTiny("lm", "x", b.text, "--ae", b.ae, "--set", "model_type=diffusion", "--set", "sampling_steps=1")},
		{"unknown flag", "--stepz", []string{"train", "--stepz", "3"}},
		{"flag that is not a number", "--steps", []string{"train", "ae", "--steps", "many"}},
	}
}

// measuring lists mistakes with calm eval.
func (b badInput) measuring() []badCase {
	return []badCase{
		{"a key of training", "can be set", []string{"eval", b.lm, "--set", "hidden_size=3"}},
		{"no run", "not a run", []string{"eval", b.gone}},
		{"two runs", "one run directory", []string{"eval", b.ae, b.lm}},
		{"one sample", "--samples", []string{"eval", b.lm, "--samples", "1"}},
		{"noise that is not a number", "--noise", []string{"eval", b.ae, "--noise", "0.1,loud"}},
		{"unknown windows", "--windows", []string{"eval", b.lm, "--windows", "some"}},
		{"blocks without a position", "too short", []string{"eval", b.ar, "--block", "4"}},
		{"negative noise", "--noise", []string{"eval", b.ae, "--noise", "-1"}},
		{"block of a fraction of patches", "block", []string{"eval", b.lm, "--block", "30"}},
		{"negative block", "--block", []string{"eval", b.lm, "--block", "-4"}},
		{"missing text to measure", "gone.txt", []string{"eval", b.lm, "--data", b.gone}},
		{"short text to measure", "not enough text", []string{"eval", b.lm, "--data", b.short}},
		{"empty text to measure", "--data", []string{"eval", b.lm, "--data", b.empty}},
		{"steps of an energy head", "no keys that can be set", []string{"eval", b.lm, "--set", "sampling_steps=4"}},
		{"noise of an energy head", "no keys that can be set", []string{"eval", b.lm, "--set", "noise_scale=0.7"}},
		{"steps of a baseline", "only language models", []string{"eval", b.ar, "--set", "sampling_steps=4"}},
		{"a step of an energy head", "no keys that can be set", []string{"eval", b.lm, "--set", "sampling_steps=0"}},
		{"samples of an autoencoder", "--samples", []string{"eval", b.ae, "--samples", "4"}},
		{"samples of the baseline", "--samples", []string{"eval", b.ar, "--samples", "8"}},
		{"noise of a language model", "--noise", []string{"eval", b.lm, "--noise", "0.1,0.3"}},
		{"noise of the baseline", "--noise", []string{"eval", b.ar, "--noise", "0.1"}},
		{"windows of an autoencoder", "--windows", []string{"eval", b.ae, "--windows", "all"}},
		{"windows of the baseline", "--windows", []string{"eval", b.ar, "--windows", "reference"}},
		{"windows of patches of four", "--windows", []string{"eval", b.lm, "--windows", "reference"}},
	}
}

// writing lists mistakes with calm generate, and absurd numbers of several commands.
func (b badInput) writing() []badCase {
	return []badCase{
		{"unknown format", "dtype", []string{"generate", b.lm, "--set", "dtype=float16"}},
		{"generate with an autoencoder", "autoencoder", []string{"generate", b.ae}},
		{"prompt too long", "shorten it", []string{"generate", b.lm, "--context-full", "stop", "--prompt", strings.Repeat("long ", 20)}},
		{"prompt too long for the baseline", "shorten it", []string{"generate", b.ar, "--context-full", "stop", "--prompt", strings.Repeat("long ", 20)}},
		{"missing prompt", "gone.txt", []string{"generate", b.lm, "--prompt-file", b.gone}},
		{"two prompts", "choose one", []string{"generate", b.lm, "--prompt-file", b.text, "--prompt", "a"}},
		{"prompt of text and ids", "choose one", []string{"generate", b.lm, "--ids", "97", "--prompt", "a"}},
		{"no texts", "-n 0", []string{"generate", b.lm, "-n", "0"}},
		{"texts that are not a number", "whole number", []string{"generate", b.lm, "-n", "many"}},
		{"small context", "two patches", []string{"generate", b.lm, "--context", "4"}},
		{"context beyond the model's", "at most the model's", []string{"generate", b.lm, "--context", "1000000"}},
		{"negative context", "-1", []string{"generate", b.lm, "--context", "-1"}},
		{"unknown end of the context", `"slide" or "stop"`, []string{"generate", b.lm, "--context-full", "halt"}},
		{"empty stop text", "not empty", []string{"generate", b.lm, "--stop", ""}},
		{"bad option of a JSON text", "stop text", []string{"generate", b.lm, "-n", "2", "--json", "--stop", "\xff"}},
		{"temperature below 0", "--temperature", []string{"generate", b.lm, "--temperature", "-0.1"}},
		{"temperature 0 without bias", "use the prefix sampler", []string{"generate", b.lm, "--temperature", "0", "--sampler", "exact"}},
		{"temperature above 1", "--temperature", []string{"generate", b.lm, "--temperature", "1.1"}},
		{"temperature that is not a number", "--temperature", []string{"generate", b.lm, "--temperature", "nan"}},
		{"unknown sampler", "sampler", []string{"generate", b.lm, "--sampler", "greedy"}},
		{"negative draws", "draws", []string{"generate", b.lm, "--draws", "-1"}},
		{"negative tokens", "max", []string{"generate", b.lm, "--max-tokens", "-1"}},
		{"negative threads to write", "--threads", []string{"generate", b.lm, "--threads", "-2"}},
		{"absurd threads to write", "--threads", []string{"generate", b.lm, "--threads", "1000000"}},
		{"absurd draws", "want 0 to 1000000", []string{"generate", b.lm, "--temperature", "0.5", "--draws", "2000000000"}},
		{"context of an autoencoder", "--context", []string{"info", b.ae, "--context", "8"}},
		{"batch sampler at temperature 1", "--sampler", []string{"bench", "generate", "--sampler", "batch"}},
		{"absurd samples", "--samples", []string{"eval", b.lm, "--samples", "1000000000"}},
		{"absurd prompt", "--prompt", []string{"bench", "generate", "--prompt", "9223372036854775807"}},
		{"absurd threads to measure", "--threads", []string{"bench", "gemm", "--threads", "100000000"}},
		{"absurd context", "--context", []string{"info", "--preset", "calm-m", "--context", "9223372036854775807"}},
		{"unknown solver", "solver", []string{"generate", b.lm, "--set", "solver=magic"}},
		{"other keys of a trained model", "only these keys can be set: dtype, sampling_steps, solver, noise_scale", []string{"generate", b.lm, "--set", "beta=.5"}},
		{"solver of an energy head", "no keys that can be set", []string{"generate", b.lm, "--set", "solver=euler"}},
		{"draws at temperature 1", "one draw", []string{"generate", b.lm, "--draws", "50"}},
		{"batch sampler at temperature 1", "below 1", []string{"generate", b.lm, "--sampler", "batch"}},
		{"fewer draws than 1/T", "at least 2 draws", []string{"generate", b.lm, "--temperature", "0.5", "--sampler", "exact", "--draws", "1"}},
		{"batch sampler of the baseline", "divides its logits", []string{"generate", b.ar, "--temperature", "0.5", "--sampler", "batch"}},
		{"prefix sampler of the baseline", "divides its logits", []string{"generate", b.ar, "--temperature", "0.5", "--sampler", "prefix"}},
		{"prefix sampler at temperature 1", "below 1", []string{"generate", b.lm, "--sampler", "prefix"}},
		{"empty sampler", "is empty", []string{"generate", b.lm, "--temperature", "0.5", "--sampler", ""}},
		{"empty context-full", "is empty", []string{"generate", b.lm, "--context-full", ""}},
		{"draws of the baseline", "one draw a token", []string{"generate", b.ar, "--temperature", "0.5", "--draws", "50"}},
	}
}

// others lists mistakes with the other commands.
func (b badInput) others() []badCase {
	return []badCase{
		{"dtype of info", "can be set with eval, generate", []string{"info", b.lm, "--set", "dtype=bfloat16"}},
		{"no run to show", "not a run", []string{"info", b.gone}},
		{"unknown command", `"trian"`, []string{"trian"}},
		{"unknown command below", `"trian"`, []string{"tokenizer", "trian"}},
		{"unknown command of data", `"prep"`, []string{"data", "prep"}},
		{"quickstart with arguments", "no arguments", []string{"quickstart", "now"}},
		{"quickstart with bad steps", "--steps", []string{"quickstart", "--steps", "3"}},
		{"quickstart with steps below 1", "--steps", []string{"quickstart", "--steps", "3,0"}},
		{"quickstart without time", "--minutes", []string{"quickstart", "--minutes", "0"}},
		{"quickstart with both", "not both", []string{"quickstart", "--steps", "3,3", "--minutes", "1"}},
		{"quickstart with a taken directory", "exists already", []string{"quickstart", "--steps", "3,3", "--out", b.lm}},
		{"quickstart with a missing directory", "--json", []string{"quickstart", "--steps", "3,3", "--json", "no/such/file"}},
		{"tokenizer without file", "--out", []string{"tokenizer", "train"}},
		{"tokenizer of missing text", "gone.txt", []string{"tokenizer", "train", "--out", "t.json", "--data", b.gone}},
		{"tokenizer too small", "vocab", []string{"tokenizer", "train", "--out", "t.json", "--data", b.text, "--vocab", "3"}},
		{"encode with nothing", "gone.txt", []string{"tokenizer", "encode", "--tokenizer", b.gone}},
		{"prepare without text", "--data", []string{"data", "prepare", "--out", "x"}},
		{"prepare missing text", "gone.txt", []string{"data", "prepare", "--out", "x", "--data", b.gone}},
		{"prepare empty text", "no text", []string{"data", "prepare", "--out", "x", "--data", b.empty}},
		{"info of missing text", "gone.txt", []string{"data", "info", b.gone}},
		{"info of empty text", "empty", []string{"data", "info", b.empty}},
		{"tokenizer of prepared text", "--tokenizer", []string{"data", "info", b.prepared, "--tokenizer", "bytes"}},
	}
}
