package run_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// TestCreateLeavesNothing checks that wrong options make no directory, and are reported as a mistake in the user's input.
func TestCreateLeavesNothing(t *testing.T) {
	text := tinyText(t)
	for name, c := range map[string]struct {
		o    run.Options
		want string
	}{
		"kind":    {run.Options{Kind: "vae"}, "want ae, lm or ar"},
		"preset":  {run.Options{Kind: run.AE, Preset: "none"}, "no preset"},
		"lm":      {run.Options{Kind: run.LM}, "needs an autoencoder"},
		"text":    {run.Options{Kind: run.AE, Data: []string{text + "x"}}, "--data"},
		"short":   {run.Options{Kind: run.AR, Data: []string{text}, Set: []string{"block_size=8192"}}, "not enough text"},
		"batch":   {run.Options{Kind: run.AR, Data: []string{text}, Set: []string{"batch_size=9000"}}, "not enough text"},
		"vocab":   {run.Options{Kind: run.AR, Data: []string{text}, Set: []string{"vocab_size=258"}}, "vocab_size"},
		"heads":   {run.Options{Kind: run.AR, Data: []string{text}, Set: []string{"num_attention_heads=3"}}, "num_attention_heads"},
		"no list": {run.Options{Kind: run.AE, Config: text}, "text.txt"},
	} {
		c.o.Out = filepath.Join(t.TempDir(), "run")
		tr, err := run.Create(t.Context(), engine(t, 1), c.o)
		_, usage := errors.AsType[*run.UsageError](err)
		_, bad := errors.AsType[*config.Error](err)
		if tr != nil || !usage && !bad || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a *run.UsageError or *config.Error with %q", name, err, c.want)
		}
		if _, err := os.Stat(c.o.Out); err == nil {
			t.Errorf("%s: the directory exists", name)
		}
	}
}

// TestOneTrainer checks that only one process at a time can train a run, while others can read it.
func TestOneTrainer(t *testing.T) {
	o := run.Options{Kind: run.AE, Set: tinyAE, Data: []string{tinyText(t)}, Steps: 2, Out: filepath.Join(t.TempDir(), "run")}
	trainTo(t, 1, 0, o)
	tr, _, err := run.Resume(t.Context(), engine(t, 1), o.Out, run.ResumeOptions{Steps: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if other, _, err := run.Resume(t.Context(), engine(t, 1), o.Out, run.ResumeOptions{Steps: 4}); err == nil || other != nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second trainer: %v", err)
	}
	if _, err := run.Open(o.Out); err != nil {
		t.Errorf("a reader: %v", err)
	}
}

// TestPresets checks that the presets of every kind are valid for the byte tokenizer.
func TestPresets(t *testing.T) {
	tok := tokenizer.Bytes()
	checked := 0
	for _, name := range []string{"quickstart", "ae-bytes", "ae-proto", "ae-official", "autoencoder"} {
		ae, err := run.AEPreset(name, tok)
		if err = errors.Join(err, ae.Validate()); err != nil {
			t.Errorf("ae %s: %v", name, err)
		}
		checked++
	}
	ae, err := run.AEPreset("quickstart", tok)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"quickstart", "lm-bytes", "lm-proto", "calm-s", "calm-m", "calm-l", "calm-xl"} {
		lm, err := run.LMPreset(name, ae.AutoencoderConfig)
		if err = errors.Join(err, lm.Validate(), lm.ValidateWith(ae.AutoencoderConfig)); err != nil {
			t.Errorf("lm %s: %v", name, err)
		}
		checked++
	}
	for _, name := range []string{"quickstart", "ar-bytes", "ar-proto", "ar-s", "ar-m", "ar-l"} {
		ar, err := run.ARPreset(name, tok)
		if err = errors.Join(err, ar.Validate()); err != nil {
			t.Errorf("ar %s: %v", name, err)
		}
		checked++
	}
	if checked != 18 {
		t.Errorf("%d presets", checked)
	}
}

// TestOwnedKeys checks that keys which say what a run is and what it is trained on cannot be set. A run's config.json can
// nevertheless be given as --config.
func TestOwnedKeys(t *testing.T) {
	eng := cpu.New(cpu.Options{Threads: 1})
	defer eng.Close()
	text := tinyText(t)
	first := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "first"), Set: tinyAE, Data: []string{text}, Steps: 2}
	trainTo(t, 1, 0, first)
	for _, set := range []string{"kind=lm", "data=x", "tail=1", "imported=x"} {
		o := first
		o.Out, o.Set = filepath.Join(t.TempDir(), "no"), append(slices.Clone(tinyAE), set)
		if _, err := run.Create(t.Context(), eng, o); err == nil || !strings.Contains(err.Error(), "cannot be set") {
			t.Errorf("--set %s: %v", set, err)
		}
	}
	o := first
	o.Out, o.Set, o.Config = filepath.Join(t.TempDir(), "again"), nil, filepath.Join(first.Out, "config.json")
	other := filepath.Join(t.TempDir(), "other.txt")
	data, err := os.ReadFile(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, data, 0o666); err != nil {
		t.Fatal(err)
	}
	o.Data = []string{other}
	trainTo(t, 1, 0, o)
	m, err := run.Describe(o.Out, false)
	if err != nil || len(m.Data) != 1 || m.Data[0] != other || len(m.Tail) != m.Layout().PatchSize {
		t.Errorf("%+v, %v", m.Common, err)
	}
}

// TestFewerLayers checks that a run cannot be resumed after a layer was removed in its config.json.
func TestFewerLayers(t *testing.T) {
	eng := cpu.New(cpu.Options{Threads: 1})
	defer eng.Close()
	o := run.Options{Kind: run.AR, Out: filepath.Join(t.TempDir(), "ar"), Set: append(slices.Clone(tinyAR), "num_hidden_layers=2"), Data: []string{tinyText(t)}, Steps: 2}
	trainTo(t, 1, 0, o)
	path := filepath.Join(o.Out, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.Replace(data, []byte(`"num_hidden_layers": 2`), []byte(`"num_hidden_layers": 1`), 1)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run.Resume(t.Context(), eng, o.Out, run.ResumeOptions{Steps: 3, AcceptConfig: true}); err == nil || !strings.Contains(err.Error(), "does not match config.json") {
		t.Errorf("resumed: %v", err)
	}
}
