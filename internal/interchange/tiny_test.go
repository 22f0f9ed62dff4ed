package interchange

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// memory returns a parameter as a stream.
func memory(name string, p *nn.Param) checkpoint.Stream {
	return checkpoint.Stream{Name: name, DType: checkpoint.F32, Shape: p.Shape, Each: func(use func([]byte) error) error {
		var data []byte
		for _, v := range p.Data {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		return use(data)
	}}
}

// tinyRun makes a run with random weights, over calm's byte tokenizer.
func tinyRun(t testing.TB, kind run.Kind) string {
	return tinyWith(t, kind, func(*lm.Config) {})
}

// tinyWith is tinyRun with a language model's configuration changed.
func tinyWith(t testing.TB, kind run.Kind, change func(*lm.Config)) string {
	t.Helper()
	ps, common := nn.NewParams(), run.Common{Kind: kind, Data: []string{}, Tail: []int{}, TrainConfig: train.Default()}
	common.BlockSize = 64
	ae := run.AEConfig{Common: common, AutoencoderConfig: testkit.TinyAutoencoder()}
	ae.Kind = run.AE
	var config any
	switch kind {
	case run.AE:
		config = ae
		autoencoder.New(ae.AutoencoderConfig, ps, "")
	case run.LM:
		c := run.LMConfig{Common: common, LanguageConfig: testkit.TinyLM()}
		change(&c.LanguageConfig)
		config = c
		lm.New(c.LanguageConfig.Inference(), ae.AutoencoderConfig, ps)
	case run.AR:
		c := run.ARConfig{Common: common, BaselineConfig: testkit.TinyAR()}
		config = c
		ar.New(c.BaselineConfig, ps)
	}
	ps.Initialize(7)
	testkit.Perturb(ps, 8, .1)
	dir := filepath.Join(t.TempDir(), "run")
	r, err := checkpoint.CreateRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		t.Helper()
		if err := r.Add(name, func(w io.Writer) error { _, err := w.Write(data); return err }); err != nil {
			t.Fatal(err)
		}
	}
	write("tokenizer.json", tokenizer.Bytes().JSON())
	var all, inside []checkpoint.Stream
	for _, p := range ps.All() {
		all = append(all, memory(p.Name, p))
		if name, ok := strings.CutPrefix(p.Name, lm.AEPrefix); ok {
			inside = append(inside, memory(name, p))
		}
	}
	if kind == run.LM {
		data, err := json.Marshal(ae)
		if err != nil {
			t.Fatal(err)
		}
		write("autoencoder/config.json", data)
		if err := r.AddWeights("autoencoder/model.safetensors", inside); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(r.AddWeights("model.safetensors", all), r.WriteConfig(config), r.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// exported returns the directory of an exported tiny run.
func exported(t testing.TB, kind run.Kind, format string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "exported")
	if _, err := Export(t.Context(), tinyRun(t, kind), out, format); err != nil {
		t.Fatal(err)
	}
	return out
}

func bring(t *testing.T, src string, o Options) (dir string, r *Report, err error) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "imported")
	r, err = Import(t.Context(), src, dir, o)
	if _, serr := os.Stat(dir); err != nil && serr == nil {
		t.Errorf("the import failed (%v) and left %s", err, dir)
	}
	return dir, r, err
}

// refused checks that an import fails with a UsageError that has these words.
func refused(t *testing.T, src string, o Options, words ...string) {
	t.Helper()
	_, _, err := bring(t, src, o)
	for _, want := range words {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q in it", err, want)
		}
	}
	if _, ok := errors.AsType[*run.UsageError](err); !ok {
		t.Errorf("%T; want a UsageError", err)
	}
}

func bytesOf(t *testing.T, s checkpoint.Stream) (data []byte) {
	t.Helper()
	if err := s.Each(func(p []byte) error { data = append(data, p...); return nil }); err != nil {
		t.Fatal(err)
	}
	return data
}

// rewrite changes the tensors of a file of weights.
func rewrite(t *testing.T, path string, change func(all map[string]checkpoint.Stream)) {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]checkpoint.Stream{}
	for _, name := range f.Names() {
		s, err := f.Stream(name)
		if err != nil {
			t.Fatal(err)
		}
		data := bytesOf(t, s)
		s.Each = func(use func([]byte) error) error { return use(data) }
		all[name] = s
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	change(all)
	var list []checkpoint.Stream
	for name, s := range all {
		s.Name = name
		list = append(list, s)
	}
	var out bytes.Buffer
	if err := errors.Join(checkpoint.EncodeStreams(&out, list, nil), os.Remove(path), os.WriteFile(path, out.Bytes(), 0o666)); err != nil {
		t.Fatal(err)
	}
}

// rekey changes the keys of a config.json.
func rekey(t *testing.T, dir string, change func(keys map[string]any)) {
	t.Helper()
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
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
}

func drop(keys ...string) func(map[string]any) {
	return func(m map[string]any) {
		maps.DeleteFunc(m, func(k string, _ any) bool { return slices.Contains(keys, k) })
	}
}
