package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDecode checks the formats of ids that tokenizer decode accepts.
func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		"67 97 108 108": "Call", "67,97,108,108": "Call", "67, 97,108 ,\n108\n": "Call", "[67, 97, 108, 108]\n": "Call", "67\n97\t108\r\n108\n": "Call",
		"": "", " \n": "", "[]": "",
	} {
		if got := calmWith(in, "tokenizer", "decode"); got.status != exitDone || got.out != want {
			t.Errorf("%q: want %q: %v", in, want, got)
		}
	}
	encoded := calmWith("It was the whale.", "tokenizer", "encode").out
	if got := calmWith(encoded, "tokenizer", "decode"); got.out != "It was the whale." {
		t.Errorf("%q became %v", encoded, got)
	}
	for in, want := range map[string]string{
		"67,,97": "comma", "67,": "comma", ",": "comma", "[67 97": "]", "67 97]": `"97]"`, "67;97": `"67;97"`, "1e1": `"1e1"`, "99999999999": `"99999999999"`,
		"-1": "-1", "259": "259", strings.Repeat("x", 1000): `xxx"`,
	} {
		got := calmWith(in, "tokenizer", "decode")
		if got.status != exitUsage {
			t.Errorf("%q: want status 2: %v", in, got)
		}
		checkSentence(t, got, want)
	}
}

// otherTokenizer copies a tokenizer of package tokenizer's tests.
func otherTokenizer(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "tokenizer", "testdata", "kinds", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".json")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTokenizerInfo checks what calm says of tokenizers: their special tokens, and whether text comes back.
func TestTokenizerInfo(t *testing.T) {
	const whole = "every text comes back byte for byte"
	for name, want := range map[string][]string{
		"bytes":                       {"bytes: 259 tokens", `BOS: 256 "<|begin_of_text|>"`, `PAD: 258 "[PAD]"`, "documents get BOS before them", whole},
		otherTokenizer(t, "special0"): {`BOS: 0 "<s>"`, `EOS: 1 "</s>"`, "documents get neither BOS nor EOS", whole},
		otherTokenizer(t, "both"):     {"PAD: none", "documents get BOS before them and EOS behind them", whole},
		otherTokenizer(t, "llama2"):   {"BOS before them", "text may change", "a space at the beginning of a text is dropped"},
		otherTokenizer(t, "lower"):    {"text may change", "NFKC", "capital letters become small"},
		otherTokenizer(t, "prefix"):   {"a space is put before a text"},
	} {
		got := calmRun("tokenizer", "info", name)
		if got.status != exitDone {
			t.Errorf("%s: %v", name, got)
		}
		for _, words := range want {
			if !strings.Contains(got.out, words) {
				t.Errorf("%s: no %q in %q", name, words, got.out)
			}
		}
	}
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`{"model": {"type": "WordPiece", "vocab": {}}}`), 0o666); err != nil {
		t.Fatal(err)
	}
	got := calmRun("tokenizer", "info", bad)
	if got.status != exitUsage {
		t.Errorf("want status 2: %v", got)
	}
	checkSentence(t, got, "WordPiece")
}

// TestTrainWithOtherTokenizer: training adds PAD where a tokenizer has none, says once what its tokenizer changes in a text and
// which tokens documents get, and the run is one that can be trained on and exported.
func TestTrainWithOtherTokenizer(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("the whale and the Captain of the sea\n", 200)), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"llama2": {"text does not come back byte for byte"}, "eos": {"documents get EOS behind them"}, "none": {"documents get neither BOS nor EOS"},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		got := calmRun("train", "ae", "--preset", "ae-bytes", "--tokenizer", otherTokenizer(t, name), "--data", text, "--out", dir, "--steps", "1",
			"--set", "hidden_size=16", "--set", "latent_size=4", "--set", "intermediate_size=16", "--set", "block_size=32", "--set", "batch_size=2")
		if got.status != exitDone {
			t.Errorf("%s: %v", name, got)
			continue
		}
		for _, words := range want {
			if strings.Count(got.errOut, words) != 1 {
				t.Errorf("%s: %q is there %d times in %q", name, words, strings.Count(got.errOut, words), got.errOut)
			}
		}
		if got := calmRun("tokenizer", "info", filepath.Join(dir, "tokenizer.json")); !strings.Contains(got.out, `"[PAD]"`) {
			t.Errorf("%s: the run's tokenizer has no PAD: %v", name, got)
		}
	}
}
