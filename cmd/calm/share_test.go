package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestShare(t *testing.T) {
	now := time.Unix(0, 0)
	s := newShare(4e9)
	s.now, s.start = func() time.Time { return now }, now
	for _, step := range []struct {
		after   time.Duration
		done    int64
		skipped bool
		want    string
	}{
		{100 * time.Millisecond, 1e8, false, "2.5 % of 4.0 GB"}, // too early for an estimate
		{time.Second, 2e9, true, "50.0 % of 4.0 GB"},
		{2 * time.Second, 2.5e9, false, "62.5 % of 4.0 GB, 6s left"}, // skipped bytes do not count for the speed
		{5 * time.Minute, 4e9, false, "100.0 % of 4.0 GB, 0s left"},
	} {
		now = now.Add(step.after)
		if got := s.line(step.done, step.skipped); got != step.want {
			t.Errorf("%d bytes: %q, want %q", step.done, got, step.want)
		}
	}
	if got := newShare(0).line(0, false); got != "0.0 kB read" {
		t.Errorf("with an unknown total: %q", got)
	}
}

// TestPrepareProgress checks that data prepare shows how much of a file is read.
func TestPrepareProgress(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("A line of words.\n", 5<<20/17)), 0o666); err != nil {
		t.Fatal(err)
	}
	got := must(t, "data", "prepare", "--data", text, "--out", filepath.Join(dir, "out")).errOut
	if !regexp.MustCompile(`^20\.0 % of 5\.2 MB  0 documents  1 MB of text  [0-9]+ tokens\n`).MatchString(got) {
		t.Errorf("progress %q", got)
	}
}
