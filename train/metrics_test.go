package train_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/calm-go/calm/train"
)

func readMetrics(t testing.TB, text string) (lines []train.Line, err error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "metrics.jsonl"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	for line, lineErr := range train.ReadMetrics(dir) {
		if err != nil {
			t.Fatalf("a line after the error %v", err)
		}
		if err = lineErr; err == nil {
			lines = append(lines, line)
		}
	}
	return lines, err
}

// TestReadMetrics reads lines of every kind, lines of older runs without a kind, and unknown kinds and keys.
func TestReadMetrics(t *testing.T) {
	got, err := readMetrics(t, `{"kind":"step","step":10,"loss":2.5,"seconds":0.25}
{"kind":"measured","step":10,"brier_lm":1.5,"perplexity":null}
{"kind":"decided","step":12,"decided_steps":40,"seconds":3}
{"kind":"changed","step":12,"key":"lr_scheduler_type","old":"constant","new":"cosine"}
{"kind":"changed","step":12,"key":"learning_rate","old":0.001,"new":1e-4}
{"step":1,"loss":3,"measured":false}
{"step":500,"measured":true,"brier_lm":2}
{"step":7,"decided_steps":100,"seconds":1}
{"kind":"another","step":9,"name":"text","list":[1],"value":4}
{"kind":"step","step":13,"loss":1e999}
{"kind":"step","step":14,"lo`)
	want := []train.Line{
		{Kind: train.EventStep, Step: 10, Values: map[string]float64{"loss": 2.5, "seconds": .25}},
		{Kind: train.EventMeasured, Step: 10, Values: map[string]float64{"brier_lm": 1.5, "perplexity": math.NaN()}},
		{Kind: train.EventDecided, Step: 12, Values: map[string]float64{"decided_steps": 40, "seconds": 3}},
		{Kind: train.EventChanged, Step: 12, Change: &train.Change{Step: 12, Key: "lr_scheduler_type", Old: "constant", New: "cosine"}},
		{Kind: train.EventChanged, Step: 12, Change: &train.Change{Step: 12, Key: "learning_rate", Old: .001, New: 1e-4}},
		{Kind: train.EventStep, Step: 1, Values: map[string]float64{"loss": 3}},
		{Kind: train.EventMeasured, Step: 500, Values: map[string]float64{"brier_lm": 2}},
		{Kind: train.EventDecided, Step: 7, Values: map[string]float64{"decided_steps": 100, "seconds": 1}},
		{Kind: "another", Step: 9, Values: map[string]float64{"value": 4}},
		{Kind: train.EventStep, Step: 13, Values: map[string]float64{"loss": math.Inf(1)}},
	}
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); err != nil || d != "" {
		t.Errorf("%v, lines (+) differ:\n%s", err, d)
	}
}

// TestReadDamagedMetrics: an incomplete last line is left out, a damaged line before it is an error with its number, and a
// missing file has no lines.
func TestReadDamagedMetrics(t *testing.T) {
	const first = "{\"step\":1}\n"
	for text, want := range map[string]struct {
		lines int
		err   string
	}{
		"":                                  {0, ""},
		"{\"st":                             {0, ""},
		first + "{\"step\":2}":              {1, ""},
		first + "\x00\x00":                  {1, ""},
		first + "{\"st\n" + first:           {1, "metrics.jsonl:2"},
		first + first + "[1]\n":             {2, "metrics.jsonl:3"},
		first + "{\"step\":\"x\"}\n":        {1, "metrics.jsonl:2: step"},
		first + "\n":                        {1, "metrics.jsonl:2"},
		first + "null\n":                    {1, "metrics.jsonl:2"},
		first + "{\"step\":1,\"step\":2}\n": {1, "metrics.jsonl:2"},
		first + strings.Repeat("x", 1<<20+1) + "\n" + first: {1, "metrics.jsonl:2"},
		first + strings.Repeat("x", 1<<20+1):                {1, ""},
	} {
		lines, err := readMetrics(t, text)
		if len(lines) != want.lines || (want.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want.err) {
			t.Errorf("%.40q: %d lines, %v; want %d, %q", text, len(lines), err, want.lines, want.err)
		}
	}
	for line, err := range train.ReadMetrics(filepath.Join(t.TempDir(), "missing")) {
		t.Errorf("a line of a missing file: %v, %v", line, err)
	}
	for range train.ReadMetrics(t.TempDir()) {
		t.Error("a line of a directory without metrics")
	}
}

func FuzzReadMetrics(f *testing.F) {
	f.Add(`{"kind":"changed","step":5,"key":"a","old":1,"new":"b"}` + "\n" + `{"step":7,"measured":true,"x":null}` + "\n{")
	f.Fuzz(func(t *testing.T, text string) {
		lines, _ := readMetrics(t, text)
		if len(lines) > strings.Count(text, "\n") {
			t.Errorf("%d lines of %q", len(lines), text)
		}
		for _, line := range lines {
			if line.Kind == "" && !strings.Contains(text, `"kind"`) || line.Kind == train.EventChanged && line.Change == nil {
				t.Errorf("%+v", line)
			}
			_ = fmt.Sprint(line.Change)
		}
	})
}
