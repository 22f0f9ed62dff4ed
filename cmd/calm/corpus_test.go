package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDataInfoVerifies checks that data info verifies the checksums of a prepared corpus, and reports damage.
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

// TestPrepareInterrupted checks the message of an interrupted preparation. It says whether something is saved. If nothing is, no
// directory is left.
func TestPrepareInterrupted(t *testing.T) {
	text, dir := tinyText(t), filepath.Join(t.TempDir(), "prepared")
	args := []string{"data", "prepare", "--data", text, "--out", dir}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := calmUnder(ctx, args...)
	if got.status != exitInterrupted {
		t.Errorf("want status 130: %v", got)
	}
	checkSentence(t, got, "nothing to save")
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory exists: %v", err)
	}
	must(t, args...)
	if err := os.Remove(filepath.Join(dir, "corpus.json")); err != nil { // written last: without it the preparation is not finished
		t.Fatal(err)
	}
	if got = calmUnder(ctx, args...); got.status != exitInterrupted {
		t.Errorf("want status 130: %v", got)
	}
	checkSentence(t, got, "is saved")
	must(t, args...)
}
