package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A training whose prepared text becomes shorter ends with a sentence, and saves the steps that it has made.
func TestTrainingOnTextThatShrinks(t *testing.T) {
	dir := t.TempDir()
	text, prepared, out := filepath.Join(dir, "text.txt"), filepath.Join(dir, "prepared"), filepath.Join(dir, "run")
	if err := os.WriteFile(text, []byte(strings.Repeat("Some words of a text that is long enough to be read piece by piece.\n", 30_000)), 0o666); err != nil {
		t.Fatal(err)
	}
	must(t, "data", "prepare", "--data", text, "--out", prepared)
	cmd := calmProcess(t, trainTiny("ae", out, prepared, "--steps", "1000000")...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if b, _ := os.ReadFile(filepath.Join(out, "metrics.jsonl")); bytes.Count(b, []byte("\n")) > 3 {
			break
		}
		if time.Since(begin) > 2*time.Minute {
			cmd.Process.Kill()
			t.Fatal("the training does not begin")
		}
	}
	if err := os.Truncate(filepath.Join(prepared, "000000.tokens"), 300); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	saved, _ := filepath.Glob(filepath.Join(out, "state", "step-*", "state.json"))
	if err == nil || !strings.Contains(errOut.String(), "000000.tokens: the file has become shorter") || strings.Contains(errOut.String(), "goroutine") {
		t.Errorf("%v:\n%s", err, errOut.String())
	}
	if len(saved) != 1 {
		t.Errorf("saved: %q", saved)
	}
}
