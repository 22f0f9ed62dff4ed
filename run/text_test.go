package run_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/run"
)

// fieldText writes the tiny text as JSON lines with the field content, and a second line whose field is null.
func fieldText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(tinyText(t))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for _, content := range []any{string(text), nil} {
		if err := e.Encode(map[string]any{"content": content}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "text.jsonl")
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// edit changes the keys of a run's config.json.
func edit(t *testing.T, dir string, change func(keys map[string]any)) {
	t.Helper()
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]any{}
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	change(keys)
	if data, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	accept(t, dir)
}

// accept makes the checkpoints of a run accept its present config.json.
func accept(t *testing.T, dir string) {
	t.Helper()
	r, err := checkpoint.ResumeRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.AcceptFiles(), r.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestField checks that a run records the field of its text, and measures the same as a run on that text in a plain file.
func TestField(t *testing.T) {
	plain := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "plain"), Set: tinyAE, Data: []string{tinyText(t)}, Steps: 4}
	field := plain
	field.Out, field.Data, field.Field = filepath.Join(t.TempDir(), "field"), []string{fieldText(t)}, "content"
	trainTo(t, 1, 0, plain)
	trainTo(t, 1, 2, field)
	trainTo(t, 1, 0, field)
	var results [2]run.Result
	for i, dir := range []string{plain.Out, field.Out} {
		m, err := run.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if want := []string{"text", "content"}[i]; m.Field != want || m.FromMemory {
			t.Errorf("field %q, from memory: %v; want %q", m.Field, m.FromMemory, want)
		}
		if results[i], err = m.Evaluate(t.Context(), engine(t, 1), run.Evaluation{Options: eval.Options{MaxBlocks: 2}}); err != nil {
			t.Fatal(err)
		}
	}
	crossEntropy := func(r run.Result) float64 { return r.Measured.(autoencoder.Measurement).CrossEntropy }
	if a, b := crossEntropy(results[0]), crossEntropy(results[1]); a != b {
		t.Errorf("cross entropy %v, and from the field %v", a, b)
	}
	if got := results[1].Text.String(); !strings.HasSuffix(got, `text.jsonl (field "content")`) {
		t.Error(got)
	}
	if n := results[1].Notes; n.Empty != 1 || results[0].Notes.Empty != 0 {
		t.Errorf("%+v", n)
	}
}

// TestFileWithoutField checks that a config.json from before the keys field and from_memory is valid.
func TestFileWithoutField(t *testing.T) {
	o := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "run"), Set: tinyAE, Data: []string{tinyText(t)}, Steps: 2}
	trainTo(t, 1, 0, o)
	edit(t, o.Out, func(keys map[string]any) {
		delete(keys, "field")
		delete(keys, "from_memory")
	})
	o.Steps = 4
	trainTo(t, 1, 0, o)
	m, err := run.Open(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Evaluate(t.Context(), engine(t, 1), run.Evaluation{Options: eval.Options{MaxBlocks: 2}}); err != nil {
		t.Error(err)
	}
}

// TestFromMemory checks that a run trained on text from memory says so when it needs that text, and can be measured on other
// text.
func TestFromMemory(t *testing.T) {
	o := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "run"), Set: tinyAE, Data: []string{tinyText(t)}, Steps: 2}
	trainTo(t, 1, 0, o)
	edit(t, o.Out, func(keys map[string]any) { keys["data"], keys["from_memory"] = []string{}, true })
	m, err := run.Open(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	_, ownErr := m.Evaluate(t.Context(), engine(t, 1), run.Evaluation{})
	_, _, resumeErr := run.Resume(t.Context(), engine(t, 1), o.Out, run.ResumeOptions{Steps: 4})
	for _, err := range []error{ownErr, resumeErr} {
		if _, bad := errors.AsType[*run.UsageError](err); !bad || !strings.Contains(err.Error(), "text from memory") {
			t.Error(err)
		}
	}
	if _, err := m.Evaluate(t.Context(), engine(t, 1), run.Evaluation{Data: o.Data, Options: eval.Options{MaxBlocks: 2}}); err != nil {
		t.Error(err)
	}
}

// TestStandardInput checks that standard input is refused for training but can be measured. Here it is the text that the run was
// trained on, so the held-out part is measured.
func TestStandardInput(t *testing.T) {
	text := tinyText(t)
	o := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "run"), Set: tinyAE, Data: []string{"-"}, Steps: 2}
	_, err := run.Create(t.Context(), engine(t, 1), o)
	if _, bad := errors.AsType[*run.UsageError](err); !bad || !strings.Contains(err.Error(), "prepare it") {
		t.Error(err)
	}
	o.Data = []string{text}
	trainTo(t, 1, 0, o)
	m, err := run.Open(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var results [2]run.Result
	for i, data := range []string{text, "-"} {
		in, err := os.Open(text)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if results[i], err = m.Evaluate(t.Context(), engine(t, 1), run.Evaluation{Data: []string{data}, Stdin: in, Options: eval.Options{MaxBlocks: 2}}); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := results[0].Measured.(autoencoder.Measurement).CrossEntropy, results[1].Measured.(autoencoder.Measurement).CrossEntropy; a != b || results[1].Text.String() != "held out of standard input" {
		t.Errorf("cross entropy %v, and %v on %s", a, b, results[1].Text)
	}
}
