package run_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
)

// paragraphs returns documents in memory, and a file of JSON lines with the same documents.
func paragraphs(t *testing.T) (texts []string, file string) {
	t.Helper()
	data, err := os.ReadFile(tinyText(t))
	if err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(data, 150) {
		texts = append(texts, string(part))
	}
	file = filepath.Join(t.TempDir(), "text.jsonl")
	var lines strings.Builder
	for _, text := range texts {
		lines.WriteString(`{"text": "` + strings.ReplaceAll(text, "\n", `\n`) + `"}` + "\n")
	}
	if err := os.WriteFile(file, []byte(lines.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return texts, file
}

// TestDocuments checks that training, resuming and measuring on documents in memory gives the same results, bit for bit, as on
// the same documents in a file.
func TestDocuments(t *testing.T) {
	texts, file := paragraphs(t)
	documents := corpus.Texts(slices.Values(texts))
	dir := t.TempDir()
	var weights [2][]byte
	var measured [2]autoencoder.Measurement
	for i, o := range []run.Options{{Data: []string{file}}, {Documents: documents}} {
		o.Kind, o.Out, o.Set, o.Steps = run.AE, filepath.Join(dir, []string{"file", "memory"}[i]), tinyAE, 4
		training, err := run.Create(t.Context(), engine(t, 1), o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := training.Do(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := training.Close(); err != nil {
			t.Fatal(err)
		}
		more := run.ResumeOptions{Steps: 6, Documents: o.Documents}
		if training, _, err = run.Resume(t.Context(), engine(t, 1), o.Out, more); err != nil {
			t.Fatal(err)
		}
		if _, err := training.Do(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := training.Close(); err != nil {
			t.Fatal(err)
		}
		if weights[i], err = os.ReadFile(filepath.Join(o.Out, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
		m, err := run.Open(o.Out)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		r, err := m.Evaluate(t.Context(), engine(t, 1), run.Evaluation{Documents: o.Documents})
		if err != nil {
			t.Fatal(err)
		}
		measured[i] = r.Measured.(autoencoder.Measurement)
		if want := []string{"held out of " + file, "held out of text from memory"}[i]; r.Text.String() != want {
			t.Errorf("measured on %s, want %s", r.Text, want)
		}
	}
	if !slices.Equal(weights[0], weights[1]) {
		t.Error("documents from memory give other weights than the same documents in a file")
	}
	if a, b := measured[0], measured[1]; a.CrossEntropy != b.CrossEntropy || a.Tokens != b.Tokens {
		t.Errorf("measured %+v and %+v", a, b)
	}
}

// TestDocumentsOfLanguageModel trains an autoencoder and a language model on documents in memory, and measures the language
// model on all of some other documents.
func TestDocumentsOfLanguageModel(t *testing.T) {
	texts, _ := paragraphs(t)
	documents := corpus.Texts(slices.Values(texts))
	ae := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "ae"), Set: tinyAE, Documents: documents, Steps: 2}
	trainTo(t, 1, 0, ae)
	o := run.Options{Kind: run.LM, AE: ae.Out, Out: filepath.Join(t.TempDir(), "lm"), Set: tinyLM, Documents: documents, Steps: 2}
	trainTo(t, 1, 0, o)
	m, err := run.Open(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	e := run.Evaluation{Documents: corpus.Texts(slices.Values(texts[:3])), Options: eval.Options{MaxBlocks: 2}}
	r, err := m.Evaluate(t.Context(), engine(t, 1), e)
	if err != nil || r.Measured.(lm.Measurement).Positions == 0 || r.Text.Part != run.PartAll {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestBadDocuments checks that mistakes in documents from memory are a *UsageError, and make no directory.
func TestBadDocuments(t *testing.T) {
	broken := errors.New("the network is gone")
	for name, c := range map[string]struct {
		change func(*run.Options)
		want   string
	}{
		"no documents": {func(o *run.Options) { o.Documents = corpus.Texts(slices.Values([]string{})) }, "text from memory"},
		"two texts":    {func(o *run.Options) { o.Data = []string{"a.txt"} }, "two texts"},
		"an error": {func(o *run.Options) {
			o.Documents = func(yield func(corpus.Document, error) bool) { yield(corpus.Document{}, broken) }
		}, broken.Error()},
	} {
		o := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "run"), Set: tinyAE, Steps: 2, Documents: corpus.Texts(slices.Values([]string{"a"}))}
		c.change(&o)
		_, err := run.Create(t.Context(), engine(t, 1), o)
		if _, usage := errors.AsType[*run.UsageError](err); !usage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(o.Out); !os.IsNotExist(err) {
			t.Errorf("%s: the directory exists", name)
		}
	}
}

// TestClosed: a closed model and a closed training return ErrClosed; they do not read weights that are not mapped any more.
func TestClosed(t *testing.T) {
	ae := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "ae"), Set: tinyAE, Data: []string{tinyText(t)}, Steps: 2}
	trainTo(t, 1, 0, ae)
	lm := run.Options{Kind: run.LM, AE: ae.Out, Out: filepath.Join(t.TempDir(), "lm"), Set: tinyLM, Steps: 2}
	training, err := run.Create(t.Context(), engine(t, 1), lm)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(training.Close(), training.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := training.Do(t.Context()); !errors.Is(err, run.ErrClosed) {
		t.Errorf("a closed training: %v", err)
	}
	m, err := run.Open(ae.Out)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Evaluate(t.Context(), engine(t, 1), run.Evaluation{}); !errors.Is(err, run.ErrClosed) || !m.Closed() {
		t.Errorf("a closed model: %v", err)
	}
}

// TestBadNumbers: options that no run can have are named, and nothing is made.
func TestBadNumbers(t *testing.T) {
	for want, change := range map[string]func(*run.Options){
		"-1 steps": func(o *run.Options) { o.Steps = -1 }, "-1 minutes": func(o *run.Options) { o.Minutes = -1 },
		"NaN minutes": func(o *run.Options) { o.Minutes = math.NaN() }, "no run directory": func(o *run.Options) { o.Out = "" },
	} {
		o := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "run"), Set: tinyAE}
		change(&o)
		_, err := run.Create(t.Context(), engine(t, 1), o)
		if _, usage := errors.AsType[*run.UsageError](err); !usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
