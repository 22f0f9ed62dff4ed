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
	"github.com/calm-go/calm/checkpoint"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// memory is a parameter as a stream.
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

// exported is the export of a tiny run.
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

// refused demands an import that fails with some words, and status 2.
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

// TestFormats: a run goes out in each format and comes back in it, rounded once; what it had is what it has.
func TestFormats(t *testing.T) {
	t.Parallel()
	for _, kind := range []run.Kind{run.AE, run.LM, run.AR} {
		dir := tinyRun(t, kind)
		before, err := checkpoint.Open(filepath.Join(dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer before.Close()
		for format, d := range map[string]checkpoint.DType{"": checkpoint.F32, "float32": checkpoint.F32, "bfloat16": checkpoint.BF16, "float16": checkpoint.F16} {
			out := filepath.Join(t.TempDir(), "exported")
			r, err := Export(t.Context(), dir, out, format)
			if err != nil {
				t.Fatal(err)
			}
			back, again, err := bring(t, out, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if again.Parameters != r.Parameters || !maps.Equal(again.Formats, r.Formats) || again.Model != r.Model || len(r.Formats) != 1 {
				t.Errorf("%s as %q: exported %+v, imported %+v", kind, format, r, again)
			}
			after, err := checkpoint.Open(filepath.Join(back, "model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(before.Names(), after.Names()) {
				t.Errorf("%s as %q: %v became %v", kind, format, before.Names(), after.Names())
			}
			for _, name := range before.Names() {
				b, _ := before.Stream(name)
				a, err := after.Stream(name)
				if err != nil || a.DType != d || !bytes.Equal(bytesOf(t, a), bytesOf(t, b.As(d))) {
					t.Errorf("%s as %q: %s is %s, or other numbers (%v)", kind, format, name, a.DType, err)
				}
			}
			after.Close()
			m, err := run.Open(back)
			if err != nil || m.Kind != kind || m.Tokenizer == nil || !bytes.Equal(m.Tokenizer.JSON(), tokenizer.Bytes().JSON()) {
				t.Errorf("%s as %q: %v", kind, format, err)
			}
		}
	}
}

// TestHeads: language models with every head go out and come back, told apart by their class, and by their tensors.
func TestHeads(t *testing.T) {
	t.Parallel()
	for _, name := range []string{head.EnergyType, head.DiffusionType, head.FlowType} {
		dir, out := tinyWith(t, run.LM, func(c *lm.Config) { c.ModelType = name }), filepath.Join(t.TempDir(), "exported")
		if _, err := Export(t.Context(), dir, out, ""); err != nil {
			t.Fatal(err)
		}
		for _, change := range []func(map[string]any){drop(), drop("architectures")} {
			rekey(t, out, change)
			back, r, err := bring(t, out, Options{})
			if err != nil || r.Model != class(name) {
				t.Errorf("%s came back as %+v, %v", name, r, err)
				continue
			}
			want, werr := os.ReadFile(filepath.Join(dir, "model.safetensors"))
			got, gerr := os.ReadFile(filepath.Join(back, "model.safetensors"))
			if werr != nil || gerr != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: other weights (%v, %v)", name, werr, gerr)
			}
		}
	}
	if _, err := Export(t.Context(), tinyWith(t, run.LM, func(c *lm.Config) { c.TokenLossWeight = 1 }), filepath.Join(t.TempDir(), "y"), ""); err != nil {
		t.Errorf("a model that was trained with the token loss: %v", err)
	}
	_, err := Export(t.Context(), tinyWith(t, run.LM, func(c *lm.Config) { c.Input = lm.Both }), filepath.Join(t.TempDir(), "x"), "")
	if _, ok := errors.AsType[*run.UsageError](err); !ok || !strings.Contains(err.Error(), "key input") {
		t.Errorf("a model that reads latents: %v", err)
	}
}

// TestExportedNames: the reference finds every tensor under each of its names, and the autoencoder alone beside.
func TestExportedNames(t *testing.T) {
	t.Parallel()
	out := exported(t, run.LM, "")
	for path, twins := range map[string][][2]string{
		"model.safetensors": {{"ae_model.encoder.embed_tokens.weight", "ae_model.decoder.lm_head_weight"},
			{"mlp_generator.noise_embd.weight", "generative_head.noise_embd.weight"}},
		"autoencoder/model.safetensors": {{"encoder.embed_tokens.weight", "decoder.lm_head_weight"}},
	} {
		f, err := checkpoint.Open(filepath.Join(out, path))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, pair := range twins {
			a, aerr := f.Stream(pair[0])
			b, berr := f.Stream(pair[1])
			if aerr != nil || berr != nil || !bytes.Equal(bytesOf(t, a), bytesOf(t, b)) {
				t.Errorf("%s: %v are not the same tensor: %v, %v", path, pair, aerr, berr)
			}
		}
	}
	data, err := os.ReadFile(filepath.Join(out, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"EnergyTransformer"`, `"ae_path": "` + filepath.Join(out, "autoencoder") + `"`, `"torch_dtype": "float32"`, `"beta": 1.0`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("config.json has no %s:\n%s", want, data)
		}
	}
	if strings.Contains(string(data), "model_type") {
		t.Error("config.json has model_type, which the reference's class has not")
	}
	_, r, err := bring(t, filepath.Join(out, "autoencoder"), Options{})
	if err != nil || r.Kind != run.AE {
		t.Errorf("the autoencoder alone: %+v, %v", r, err)
	}
	if _, err := Export(t.Context(), tinyRun(t, run.AE), out, ""); err == nil || !errors.Is(err, checkpoint.ErrExists) {
		t.Errorf("an export over another: %v", err)
	}
	if _, err := Export(t.Context(), tinyRun(t, run.AE), filepath.Join(t.TempDir(), "x"), "int8"); err == nil {
		t.Error("an export as int8")
	}
}

// TestAutoencoderElsewhere: inside, where ae_path leads, where --ae says; refused where it is nowhere.
func TestAutoencoderElsewhere(t *testing.T) {
	t.Parallel()
	weightsOf := func(dir string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	src := exported(t, run.LM, "")
	want, _, err := bring(t, src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	same := func(what string, o Options) {
		t.Helper()
		got, _, err := bring(t, src, o)
		if err != nil || !bytes.Equal(weightsOf(got), weightsOf(want)) || !bytes.Equal(weightsOf(filepath.Join(got, "autoencoder")), weightsOf(filepath.Join(want, "autoencoder"))) {
			t.Errorf("%s: other weights (%v)", what, err)
		}
	}
	ae, moved := filepath.Join(src, "autoencoder"), filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(ae, moved); err != nil {
		t.Fatal(err)
	}
	same("inside only", Options{})
	same("inside, configuration by --ae", Options{AE: moved})
	rewrite(t, filepath.Join(src, "model.safetensors"), func(all map[string]checkpoint.Stream) {
		maps.DeleteFunc(all, func(name string, _ checkpoint.Stream) bool { return strings.HasPrefix(name, lm.AEPrefix) })
	})
	refused(t, src, Options{}, "give its directory as --ae DIR")
	same("by --ae", Options{AE: moved})
	if err := os.Rename(moved, filepath.Join(filepath.Dir(src), "beside")); err != nil {
		t.Fatal(err)
	}
	rekey(t, src, func(keys map[string]any) { keys["ae_path"] = "beside" })
	same("by ae_path, beside", Options{})
	refused(t, src, Options{AE: moved}, "--ae")
	refused(t, exported(t, run.AR, ""), Options{AE: moved}, "--ae is for language models")
}

// TestTensorsThatDoNotFit: all are named in one error.
func TestTensorsThatDoNotFit(t *testing.T) {
	t.Parallel()
	src := exported(t, run.LM, "")
	rewrite(t, filepath.Join(src, "model.safetensors"), func(all map[string]checkpoint.Stream) {
		delete(all, "embed_proj.0.bias")
		delete(all, "mlp_generator.norm_noise.weight")
		delete(all, "generative_head.norm_noise.weight")
		all["strange.weight"] = all["embed_proj.2.bias"]
		all["transformer.layers.0.self_attn.rotary_emb.inv_freq"] = all["embed_proj.2.bias"]
		s := all["transformer.norm.weight"]
		s.Shape = []int{2, s.Shape[0] / 2}
		all["transformer.norm.weight"] = s
		s = all["embed_proj.3.weight"]
		s.DType = checkpoint.I32
		all["embed_proj.3.weight"] = s
		s = all["ae_model.decoder.lm_head_weight"]
		data := bytesOf(t, s)
		data[5] ^= 1
		s.Each = func(use func([]byte) error) error { return use(data) }
		all["ae_model.decoder.lm_head_weight"] = s
	})
	refused(t, src, Options{}, "6 tensors do not fit",
		"missing: embed_proj.0.bias [48]", "missing: mlp_generator.norm_noise.weight or generative_head.norm_noise.weight [24]",
		"surplus: strange.weight [24]", "misshapen: transformer.norm.weight is [2 12], want [24]",
		"of another type: embed_proj.3.weight is I32", "contradicting: ae_model.encoder.embed_tokens.weight and ae_model.decoder.lm_head_weight")
}

// TestOneName: either name of a tensor is enough.
func TestOneName(t *testing.T) {
	t.Parallel()
	for _, without := range []string{"mlp_generator.", "generative_head."} {
		for _, table := range []string{"ae_model.encoder.embed_tokens.weight", "ae_model.decoder.lm_head_weight"} {
			src := exported(t, run.LM, "")
			rewrite(t, filepath.Join(src, "model.safetensors"), func(all map[string]checkpoint.Stream) {
				maps.DeleteFunc(all, func(name string, _ checkpoint.Stream) bool { return strings.HasPrefix(name, without) })
				delete(all, table)
			})
			if _, _, err := bring(t, src, Options{}); err != nil {
				t.Errorf("without %s and %s: %v", without, table, err)
			}
		}
	}
}

// TestShards: an index has to say where things are, and files have to be there.
func TestShards(t *testing.T) {
	t.Parallel()
	src := exported(t, run.AR, "")
	whole := filepath.Join(src, "model.safetensors")
	f, err := checkpoint.Open(whole)
	if err != nil {
		t.Fatal(err)
	}
	where, first := map[string]string{}, f.Names()[0]
	for _, name := range f.Names() {
		where[name] = "model-00001-of-00002.safetensors"
	}
	where[first] = "model-00002-of-00002.safetensors"
	f.Close()
	copied, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for file, keep := range map[string]bool{"model-00001-of-00002.safetensors": false, "model-00002-of-00002.safetensors": true} {
		path := filepath.Join(src, file)
		if err := os.WriteFile(path, copied, 0o666); err != nil {
			t.Fatal(err)
		}
		rewrite(t, path, func(all map[string]checkpoint.Stream) {
			maps.DeleteFunc(all, func(name string, _ checkpoint.Stream) bool { return (name == first) != keep })
		})
	}
	if err := os.Remove(whole); err != nil {
		t.Fatal(err)
	}
	index := func(where map[string]string) {
		data, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": where})
		if err == nil {
			err = os.WriteFile(filepath.Join(src, "model.safetensors.index.json"), data, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	index(where)
	if _, _, err := bring(t, src, Options{}); err != nil {
		t.Error(err)
	}
	changed := maps.Clone(where)
	changed[first], changed["more.weight"] = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	delete(changed, "model.norm.weight")
	index(changed)
	refused(t, src, Options{}, first+" is in model-00002-of-00002.safetensors, not in", "more.weight is not in", "model.norm.weight, in model-00001-of-00002.safetensors, is not listed")
	changed = maps.Clone(where)
	changed["more.weight"], changed["most.weight"] = "model-00003-of-00003.safetensors", "x.safetensors"
	index(changed)
	refused(t, src, Options{}, "model-00003-of-00003.safetensors, x.safetensors")
	changed["more.weight"] = "../model.safetensors"
	index(changed)
	refused(t, src, Options{}, `"../model.safetensors"`)
	index(nil)
	refused(t, src, Options{}, "no weight_map")
}

// TestConfigurations: what a config.json lacks is found elsewhere and said, and what calm cannot do is refused.
func TestConfigurations(t *testing.T) {
	t.Parallel()
	taken := func(kind run.Kind, change func(map[string]any), notes ...string) {
		t.Helper()
		src := exported(t, kind, "")
		rekey(t, src, change)
		_, r, err := bring(t, src, Options{})
		if err != nil {
			t.Error(err)
			return
		}
		all := strings.Join(r.Lines(), "\n")
		for _, want := range append(notes, "kind "+string(kind)) {
			if !strings.Contains(all, want) {
				t.Errorf("there is no %q in:\n%s", want, all)
			}
		}
	}
	for _, kind := range []run.Kind{run.AE, run.LM, run.AR} {
		taken(kind, drop("architectures"))
	}
	taken(run.LM, drop("rope_theta", "num_samples", "pad_token_id", "ae_path"), "rope_theta: taking 10000", "num_samples: taking 8", "pad_token_id: taking 258", "autoencoder: weights inside")
	taken(run.LM, func(m map[string]any) { m["bos_token_id"], m["eos_token_id"] = 1, nil },
		"bos_token_id is 256, as in the tokenizer (config.json says 1)", "eos_token_id is 257, as in the tokenizer (config.json says nothing)")
	taken(run.AE, drop("kl_clamp"), "kl_clamp: taking 0.5")
	taken(run.AR, func(m map[string]any) { m["head_dim"] = 6 })

	not := func(kind run.Kind, change func(map[string]any), words ...string) {
		t.Helper()
		src := exported(t, kind, "")
		rekey(t, src, change)
		refused(t, src, Options{}, words...)
	}
	not(run.LM, drop("num_attention_heads", "vocab_size"), "num_attention_heads", "vocab_size")
	not(run.AR, func(m map[string]any) { m["rope_scaling"] = map[string]any{"type": "linear"} }, "rope_scaling")
	not(run.AR, func(m map[string]any) { m["quantization"] = 4 }, "quantization")
	not(run.AR, func(m map[string]any) { m["tie_word_embeddings"] = true }, "tie_word_embeddings")
	not(run.AR, func(m map[string]any) { m["mlp_bias"] = true }, "mlp_bias")
	not(run.AR, func(m map[string]any) { m["head_dim"] = 8 }, "head_dim")
	not(run.AR, func(m map[string]any) { m["kind"] = "ar" }, "a run of calm")
	not(run.AR, func(m map[string]any) { m["num_hidden_layers"] = 1 << 40 }, "layers, and there are")
	not(run.AR, func(m map[string]any) { m["hidden_size"] = 1 << 40 }, "misshapen")
	not(run.AE, func(m map[string]any) { m["num_encoder_layers"] = 1 << 40 }, "layers, and there are")
	not(run.AE, func(m map[string]any) { m["patch_size"] = 1 << 40 }, "patch_size")
	not(run.LM, func(m map[string]any) { m["num_mlp_layers"] = 1 << 40 }, "layers, and there are")
	not(run.LM, func(m map[string]any) { m["architectures"] = []string{"EntropyTransformer"} }, `"entropy"`, "cannot run yet")
	not(run.LM, func(m map[string]any) { m["latent_size"] = 10 }, "latent_size")

	none := t.TempDir()
	refused(t, none, Options{}, "has no config.json")
	refused(t, filepath.Join(none, "x"), Options{}, "no such file")
	if err := os.WriteFile(filepath.Join(none, "config.json"), []byte(`{"hidden_size": 3}`), 0o666); err != nil {
		t.Fatal(err)
	}
	refused(t, none, Options{}, "holds no weights")
	refused(t, filepath.Join(none, "config.json"), Options{}, "want the directory")
}

// TestTokenizers: the directory's, another, or none, and then ids do.
func TestTokenizers(t *testing.T) {
	t.Parallel()
	src := exported(t, run.LM, "")
	dir, r, err := bring(t, src, Options{Tokenizer: NoTokenizer})
	if err != nil {
		t.Fatal(err)
	}
	m, err := run.Open(dir)
	if err != nil || m.Tokenizer != nil || m.Tail[0] != 256 || !strings.Contains(strings.Join(r.Notes, "\n"), "no tokenizer") {
		t.Errorf("without: %v, tail %v, notes %v", err, m.Tail, r.Notes)
	}
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	if _, err := m.Evaluate(t.Context(), e, run.Evaluation{}); err == nil || !strings.Contains(err.Error(), "without a tokenizer") {
		t.Errorf("reading text without a tokenizer: %v", err)
	}
	if _, _, err := run.Resume(t.Context(), e, dir, 5); err == nil || !strings.Contains(err.Error(), "was imported from") {
		t.Errorf("training on: %v", err)
	}
	if dir, _, err = bring(t, src, Options{Tokenizer: "bytes"}); err != nil {
		t.Fatal(err)
	}
	if m, err = run.Open(dir); err != nil || !slices.Equal(m.Tail, []int{'\n', '\n', '\n', '\n'}) {
		t.Errorf("the tail is %v, want newlines (%v)", m.Tail, err)
	}
	if err := os.WriteFile(filepath.Join(src, "tokenizer.json"), []byte(`{"model": {"type": "Unigram"}}`), 0o666); err != nil {
		t.Fatal(err)
	}
	refused(t, src, Options{}, "Unigram", "--tokenizer none")
	rekey(t, src, func(m map[string]any) { m["vocab_size"] = 200 })
	refused(t, src, Options{Tokenizer: "bytes"}, "do not belong together")
}
