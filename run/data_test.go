package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// dataIn returns the paths in a run's config.json.
func dataIn(t *testing.T, dir string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c struct{ Data []string }
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c.Data
}

// measure evaluates a run on its own held-out text, or on data.
func measure(t *testing.T, dir string, data ...string) (run.Result, error) {
	t.Helper()
	m, err := run.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return m.Evaluate(t.Context(), engine(t, 1), run.Evaluation{Data: data})
}

func crossEntropy(t *testing.T, r run.Result) float64 {
	t.Helper()
	m, ok := r.Measured.(autoencoder.Measurement)
	if !ok {
		t.Fatalf("measured %T", r.Measured)
	}
	return m.CrossEntropy
}

func mustMkdir(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMovedTree checks that a directory with a run and its text can be moved: the run can still be measured and resumed. That
// also holds for a directory reached through a symbolic link.
func TestMovedTree(t *testing.T) {
	content, err := os.ReadFile(tinyText(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		out, data string
		want      string // in config.json
	}{
		"a file next to the run":   {"run", "text.txt", "../text.txt"},
		"a file above":             {"runs/new/ae", "text.txt", "../../../text.txt"},
		"a file in a subdirectory": {"runs/ae", "data/a/b/c/d/text.txt", "../../data/a/b/c/d/text.txt"},
		"a directory":              {"runs/ae", "data", "../../data"},
		"a prepared corpus":        {"runs/ae", "prepared", "../../prepared"},
		"through a link":           {"link/ae", "text.txt", "../../text.txt"}, // link points to runs
	} {
		t.Run(name, func(t *testing.T) {
			tree := filepath.Join(t.TempDir(), "tree")
			data := filepath.Join(tree, c.data)
			mustMkdir(t, tree, filepath.Join(tree, "runs"))
			switch c.data {
			case "data":
				mustMkdir(t, data)
				err = os.WriteFile(filepath.Join(data, "a.txt"), content, 0o666)
			case "prepared":
				err = prepare(t.Context(), data, content)
			default:
				mustMkdir(t, filepath.Dir(data))
				err = os.WriteFile(data, content, 0o666)
			}
			if err == nil && strings.HasPrefix(c.out, "link") {
				err = os.Symlink("runs", filepath.Join(tree, "link"))
			}
			if err != nil {
				t.Fatal(err)
			}
			o := run.Options{Kind: run.AE, Set: tinyAE, Data: []string{data}, Steps: 3, Out: filepath.Join(tree, c.out)}
			trainTo(t, 1, 0, o)
			if got := dataIn(t, o.Out); !slices.Equal(got, []string{c.want}) {
				t.Errorf("config.json has the data %q, want %q", got, c.want)
			}
			before, err := measure(t, o.Out)
			if err != nil {
				t.Fatal(err)
			}
			moved := filepath.Join(t.TempDir(), "elsewhere")
			if err := os.Rename(tree, moved); err != nil {
				t.Fatal(err)
			}
			o.Out, o.Steps = filepath.Join(moved, c.out), 5
			after, err := measure(t, o.Out)
			if err != nil || crossEntropy(t, after) != crossEntropy(t, before) || after.Text.Part != run.PartHeldOut {
				t.Errorf("measured in the new place: %+v, %v, in the old one %+v", after, err, before)
			}
			if out := trainTo(t, 1, 0, o); out.Steps != 5 {
				t.Errorf("resumed in the new place: %+v", out)
			}
			if got := dataIn(t, o.Out); !slices.Equal(got, []string{c.want}) {
				t.Errorf("resumed, config.json has the data %q, want %q", got, c.want)
			}
		})
	}
}

// prepare makes a prepared corpus of one document.
func prepare(ctx context.Context, dir string, content []byte) error {
	docs := func(yield func(corpus.Document, error) bool) {
		yield(corpus.Document{Text: content, Source: "text"}, nil)
	}
	c, err := corpus.Prepare(ctx, docs, tokenizer.Bytes(), dir, corpus.PrepareOptions{})
	if err != nil {
		return err
	}
	return c.Close()
}

// TestTextFarAway checks that text far from the run has an absolute path in config.json, so the run can be moved alone. If the
// text is missing, the error says what to do, and doing it works.
func TestTextFarAway(t *testing.T) {
	text := tinyText(t)
	deep := filepath.Join(t.TempDir(), "a", "b", "c", "d")
	mustMkdir(t, deep)
	o := run.Options{Kind: run.AE, Set: tinyAE, Data: []string{text}, Steps: 3, Out: filepath.Join(deep, "run")}
	trainTo(t, 1, 0, o)
	if got := dataIn(t, o.Out); !slices.Equal(got, []string{text}) {
		t.Errorf("config.json has the data %q, want %q", got, text)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(o.Out, moved); err != nil {
		t.Fatal(err)
	}
	own, err := measure(t, moved)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(filepath.Dir(moved), "text.txt")
	if err := os.Rename(text, elsewhere); err != nil {
		t.Fatal(err)
	}
	_, err = measure(t, moved)
	if _, ok := errors.AsType[*run.UsageError](err); !ok || !strings.Contains(err.Error(), "--data") || !strings.Contains(err.Error(), text) {
		t.Errorf("measured without its text: %v", err)
	}
	refused(t, moved, "give its new place with --data", run.ResumeOptions{Steps: 5})
	refused(t, moved, "no such file", run.ResumeOptions{Steps: 5, Data: []string{text}})
	other := filepath.Join(t.TempDir(), "other.txt")
	if err := os.WriteFile(other, []byte(strings.Repeat("another text\n", 300)), 0o666); err != nil {
		t.Fatal(err)
	}
	refused(t, moved, "the data has changed", run.ResumeOptions{Steps: 5, Data: []string{other}})
	again, err := measure(t, moved, elsewhere) // its own text, recognized by its content
	if err != nil || again.Text.Part != run.PartHeldOut || crossEntropy(t, again) != crossEntropy(t, own) {
		t.Errorf("measured with --data: %+v, %v, want %+v", again, err, own)
	}
	if all, err := measure(t, moved, other); err != nil || all.Text.Part != run.PartAll {
		t.Errorf("measured on other text: %+v, %v", all, err)
	}
	if out := resumeTo(t, 0, moved, run.ResumeOptions{Steps: 5, Data: []string{elsewhere}}); out.Steps != 5 {
		t.Errorf("resumed with --data: %+v", out)
	}
	if got := dataIn(t, moved); !slices.Equal(got, []string{"../text.txt"}) {
		t.Errorf("then config.json has the data %q", got)
	}
	if _, err := measure(t, moved); err != nil {
		t.Error(err)
	}
}
