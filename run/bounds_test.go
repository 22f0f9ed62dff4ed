package run_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// TestEveryNumberIsBounded checks that every numeric key of a configuration, except the seed, refuses huge values. Products
// of such sizes would overflow, or a step would never end.
func TestEveryNumberIsBounded(t *testing.T) {
	checked := 0
	for kind, preset := range map[run.Kind]string{run.AE: "ae-bytes", run.LM: "lm-bytes", run.AR: "ar-bytes"} {
		m, err := run.Shape(preset, kind, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(m.Config())
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]any
		if err := json.Unmarshal(data, &keys); err != nil {
			t.Fatal(err)
		}
		for key, v := range keys {
			if _, number := v.(float64); !number || key == "seed" {
				continue
			}
			for _, value := range []string{fmt.Sprint(math.MaxInt64), "1000000000000000000"} {
				_, err := run.Shape(preset, kind, true, []string{key + "=" + value})
				if _, ok := errors.AsType[*config.Error](err); !ok || !strings.Contains(err.Error(), key) {
					t.Errorf("%s: %s=%s: %v", kind, key, value, err)
				}
				checked++
			}
		}
	}
	if checked < 150 {
		t.Errorf("%d values checked", checked)
	}
}

// TestEverythingAtOnce checks that one error lists all problems: those of the configuration alone, those together with the
// tokenizer or the autoencoder, and keys that cannot be set.
func TestEverythingAtOnce(t *testing.T) {
	text := tinyText(t)
	ae := filepath.Join(t.TempDir(), "ae")
	trainTo(t, 1, 0, run.Options{Kind: run.AE, Out: ae, Set: tinyAE, Data: []string{text}, Steps: 1})
	for name, c := range map[string]struct {
		kind run.Kind
		ae   string
		sets string
	}{
		"ae": {run.AE, "", "vocab_size=100 bos_token_id=1 eos_token_id=2 pad_token_id=3 hidden_size=0 dtype=bfloat16 kind=lm beta1=3"},
		"ar": {run.AR, "", "vocab_size=100 bos_token_id=1 max_position_embeddings=8 learning_rate=-1 data=x"},
		"lm": {run.LM, ae, "patch_size=3 latent_size=7 vocab_size=300 bos_token_id=1 eos_token_id=2 pad_token_id=3 beta=3 max_position_embeddings=2 batch_size=0"},
	} {
		o := run.Options{Kind: c.kind, AE: c.ae, Out: filepath.Join(t.TempDir(), "run"), Data: []string{text}, Set: strings.Fields(c.sets)}
		_, err := run.Create(t.Context(), engine(t, 1), o)
		e, ok := errors.AsType[*config.Error](err)
		if !ok {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, set := range o.Set {
			key, _, _ := strings.Cut(set, "=")
			want := key
			if key == "max_position_embeddings" { // a small value is reported as a block_size that is too large
				want = "block_size"
			}
			if !strings.Contains(e.Error(), want+" ") && !strings.Contains(e.Error(), want+":") {
				t.Errorf("%s: %s is not among\n%v", name, set, e)
			}
		}
		if _, err := os.Stat(o.Out); err == nil {
			t.Errorf("%s: the directory exists", name)
		}
	}
}

// TestBlockOfWrongPatches checks that a wrong patch_size is not also reported as a wrong block_size.
func TestBlockOfWrongPatches(t *testing.T) {
	o := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "run"), Data: []string{tinyText(t)}, Set: []string{"patch_size=100"}}
	_, err := run.Create(t.Context(), engine(t, 1), o)
	if err == nil || !strings.Contains(err.Error(), "patch_size = 100") || strings.Contains(err.Error(), "block_size") {
		t.Errorf("%v", err)
	}
}

// TestOtherWidth checks embeddings of another width than the autoencoder's: by default they are initialized at random. An
// explicit init_embeddings=autoencoder is an error.
func TestOtherWidth(t *testing.T) {
	text := tinyText(t)
	ae := filepath.Join(t.TempDir(), "ae")
	trainTo(t, 1, 0, run.Options{Kind: run.AE, Out: ae, Set: append([]string{"hidden_size=16"}, tinyAE...), Data: []string{text}, Steps: 1})
	o := run.Options{Kind: run.LM, AE: ae, Out: filepath.Join(t.TempDir(), "run"), Data: []string{text}, Steps: 1}
	o.Set = append(append([]string{}, tinyLM...), "hidden_size=24")
	trainTo(t, 1, 0, o)
	if m, err := run.Describe(o.Out, false); err != nil || m.Network.(*lm.Model).Config.InitEmbeddings != "normal" {
		t.Errorf("%v", err)
	}
	o.Out, o.Set = filepath.Join(t.TempDir(), "asked"), append(o.Set, "init_embeddings=autoencoder")
	if _, err := run.Create(t.Context(), engine(t, 1), o); err == nil || !strings.Contains(err.Error(), "init_embeddings") {
		t.Errorf("init_embeddings=autoencoder: %v", err)
	}
}

// TestTooLittleMemory checks that weights larger than the machine's memory are refused before they are initialized.
func TestTooLittleMemory(t *testing.T) {
	if math.IsInf(cpu.Memory(), 1) {
		t.Skip("this system does not report its memory")
	}
	o := run.Options{Kind: run.AR, Out: filepath.Join(t.TempDir(), "run"), Data: []string{tinyText(t)}, Set: []string{"hidden_size=131072", "num_hidden_layers=1000"}}
	_, err := run.Create(t.Context(), engine(t, 1), o)
	_, usage := errors.AsType[*run.UsageError](err)
	if e, ok := errors.AsType[*cpu.MemoryError](err); !ok || !usage || e.Need <= e.Have {
		t.Errorf("%v", err)
	}
}
