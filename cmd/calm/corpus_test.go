package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDataInfoVerifies: the tokens of a prepared corpus are read, and what is said of them is so.
func TestDataInfoVerifies(t *testing.T) {
	text, dir := tinyText(t), filepath.Join(t.TempDir(), "prepared")
	const good = "all tokens match their checksums"
	if got := must(t, "data", "prepare", "--data", text, "--out", dir); strings.Contains(got.out, good) {
		t.Errorf("nothing was verified: %v", got)
	}
	if got := must(t, "data", "info", dir); !strings.Contains(got.out, good) || got.errOut != "" {
		t.Error(got)
	}
	if got := must(t, "data", "info", text); strings.Contains(got.out, good) {
		t.Errorf("a text has no checksums: %v", got)
	}
	path := filepath.Join(dir, "000000.tokens")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[1000] ^= 1
	replace(t, path, data)
	got := calmRun("data", "info", dir)
	if got.status != exitUsage {
		t.Errorf("want status 2: %v", got)
	}
	checkSentence(t, got, "000000.tokens: bytes 128 to")
}
