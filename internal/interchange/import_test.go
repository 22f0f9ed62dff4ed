package interchange

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
)

// TestAutoencoderElsewhere: the autoencoder is found inside the model, where ae_path leads, and where --ae says. Without one, the
// import fails.
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

// TestTensorsThatDoNotFit: one error names all tensors that do not fit.
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
		all["generative_head.norm_hidden.weight"] = changed(t, all["generative_head.norm_hidden.weight"])
	})
	refused(t, src, Options{}, "6 tensors do not fit",
		"missing: embed_proj.0.bias [48]", "missing: mlp_generator.norm_noise.weight or generative_head.norm_noise.weight [24]",
		"surplus: strange.weight [24]", "wrong shape: transformer.norm.weight is [2 12], want [24]",
		"wrong type: embed_proj.3.weight is I32", "contradiction: mlp_generator.norm_hidden.weight and generative_head.norm_hidden.weight")

	src = exported(t, run.AE, "")
	rewrite(t, filepath.Join(src, "model.safetensors"), func(all map[string]checkpoint.Stream) { all[aeHead] = changed(t, all[aeHead]) })
	refused(t, src, Options{}, "contradiction: encoder.embed_tokens.weight and decoder.lm_head_weight")
}

// changed returns a tensor with one bit changed.
func changed(t *testing.T, s checkpoint.Stream) checkpoint.Stream {
	data := bytesOf(t, s)
	data[5] ^= 1
	s.Each = func(use func([]byte) error) error { return use(data) }
	return s
}

// TestUntrainedTable: in a language model that the reference trained over an autoencoder saved as safetensors, the decoder inside has
// a random table. The decoder's weights are then the encoder's table, or all weights of the autoencoder are those of --ae.
func TestUntrainedTable(t *testing.T) {
	t.Parallel()
	for _, beside := range []bool{true, false} {
		src := exported(t, run.LM, "")
		want, _, err := bring(t, src, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ae, table := filepath.Join(src, "autoencoder"), lm.AEPrefix+aeTable
		other := filepath.Join(t.TempDir(), "other")
		if err := os.CopyFS(other, os.DirFS(ae)); err != nil {
			t.Fatal(err)
		}
		rewrite(t, filepath.Join(other, "model.safetensors"), func(all map[string]checkpoint.Stream) {
			all[aeTable] = changed(t, all[aeTable])
			delete(all, aeHead) // as the reference saves it
		})
		if !beside {
			if err := os.RemoveAll(ae); err != nil {
				t.Fatal(err)
			}
		}
		rewrite(t, filepath.Join(src, "model.safetensors"), func(all map[string]checkpoint.Stream) {
			all[lm.AEPrefix+aeHead] = changed(t, all[lm.AEPrefix+aeHead])
		})
		for asked, same := range map[string]bool{"": true, other: false} {
			dir, r, err := bring(t, src, Options{AE: asked})
			if err != nil || !strings.Contains(strings.Join(r.Notes, "\n"), "ae_model.decoder.lm_head_weight is not ae_model.encoder.embed_tokens.weight") {
				t.Fatalf("--ae %q: %+v, %v", asked, r, err)
			}
			if strings.Contains(strings.Join(r.Notes, "\n"), "is not that of --ae") == same {
				t.Errorf("--ae %q: %v", asked, r.Notes)
			}
			for _, at := range []struct{ file, table string }{{"model.safetensors", table}, {"autoencoder/model.safetensors", aeTable}} {
				before, after := tensorOf(t, filepath.Join(want, at.file), at.table), tensorOf(t, filepath.Join(dir, at.file), at.table)
				if bytes.Equal(before, after) != same {
					t.Errorf("--ae %q: the table in %s is the encoder's: %v", asked, at.file, !same)
				}
			}
			norm := "transformer.norm.weight"
			if !bytes.Equal(tensorOf(t, filepath.Join(want, "model.safetensors"), norm), tensorOf(t, filepath.Join(dir, "model.safetensors"), norm)) {
				t.Errorf("--ae %q changes the transformer", asked)
			}
		}
	}
}

// tensorOf returns the bytes of a tensor in a file.
func tensorOf(t *testing.T, path, name string) []byte {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := f.Stream(name)
	if err != nil {
		t.Fatal(err)
	}
	return bytesOf(t, s)
}

// TestOneName: a tensor is found under either of its names.
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

// TestShards: an index must list every tensor in the right file, and the files must exist.
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

// TestConfigurations: settings that a config.json lacks are taken from elsewhere, and the notes say so.
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
		taken(kind, drop("architectures"), "block_size: taking ")
	}
	taken(run.LM, drop(), "newlines are put before prompts")
	taken(run.LM, drop("rope_theta", "num_samples", "pad_token_id", "ae_path"), "rope_theta: taking 10000", "num_samples: taking 8", "pad_token_id: taking 258", "autoencoder: weights inside")
	taken(run.LM, func(m map[string]any) { m["bos_token_id"], m["eos_token_id"] = 1, nil },
		"bos_token_id is 256, as in the tokenizer (config.json says 1)", "eos_token_id is 257, as in the tokenizer (config.json says nothing)")
	taken(run.AE, drop("kl_clamp"), "kl_clamp: taking 0.5")
	taken(run.AR, func(m map[string]any) { m["head_dim"] = 6 })
}

// TestRefusedConfigurations: settings that calm does not support, necessary settings that are missing, and impossible values are
// errors.
func TestRefusedConfigurations(t *testing.T) {
	t.Parallel()
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
	not(run.AR, func(m map[string]any) { m["num_hidden_layers"] = 1 << 30 }, "layers, but there are only")
	not(run.AR, func(m map[string]any) { m["hidden_size"] = 1 << 16 }, "wrong shape")
	not(run.AE, func(m map[string]any) { m["num_encoder_layers"] = 999 }, "layers, but there are only")
	not(run.AE, func(m map[string]any) { m["patch_size"] = 1 << 30 }, "patch_size")
	not(run.LM, func(m map[string]any) { m["num_mlp_layers"] = 1 << 30 }, "layers, but there are only")
	not(run.LM, func(m map[string]any) { m["architectures"] = []string{"EntropyTransformer"} }, `"entropy"`, "cannot run yet")
	not(run.LM, func(m map[string]any) { m["latent_size"] = 10 }, "latent_size")
	not(run.LM, drop("num_mlp_layers", "noise_size"), "do not fit", "taken from elsewhere", "num_mlp_layers: taking 4", "noise_size: taking 64")
	for _, key := range []string{"max_position_embeddings", "hidden_size"} {
		not(run.AR, func(m map[string]any) { m[key] = 1 << 62 }, key+" = 4611686018427387904", "want at most 2147483647")
	}

	src := exported(t, run.LM, "") // all missing keys are reported together, also with the autoencoder inside
	if err := os.RemoveAll(filepath.Join(src, "autoencoder")); err != nil {
		t.Fatal(err)
	}
	rekey(t, src, drop("hidden_size", "patch_size", "latent_size", "vocab_size"))
	refused(t, src, Options{}, "hidden_size, patch_size, latent_size, vocab_size")
	src = exported(t, run.AR, "")
	rewrite(t, filepath.Join(src, "model.safetensors"), func(all map[string]checkpoint.Stream) { delete(all, "model.norm.weight") })
	refused(t, src, Options{}, "1 tensor does not fit")

	none := t.TempDir()
	refused(t, none, Options{}, "has no config.json")
	refused(t, filepath.Join(none, "x"), Options{}, "no such file")
	if err := os.WriteFile(filepath.Join(none, "config.json"), []byte(`{"hidden_size": 3}`), 0o666); err != nil {
		t.Fatal(err)
	}
	refused(t, none, Options{}, "has no weights")
	refused(t, filepath.Join(none, "config.json"), Options{}, "want its directory")
}

// TestWhereImportsGo: existing files in the new run's place are an error, before the source is read, and are not changed.
func TestWhereImportsGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link, old := filepath.Join(dir, "file"), filepath.Join(dir, "link"), tinyRun(t, run.AE)
	if err := errors.Join(os.WriteFile(file, []byte("precious"), 0o666), os.Symlink("gone", link)); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{"": "has no name", file: "it is a file", link: "it is a link to nothing", dir: "file is in the way", old: "a run is in the way"} {
		_, err := Import(t.Context(), "gone", to, Options{})
		if _, ok := errors.AsType[*run.UsageError](err); !ok || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "--resume") {
			t.Errorf("import to %q: %v; want a UsageError with %q", to, err, want)
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "precious" {
		t.Errorf("%s holds %q, %v", file, data, err)
	}
}

// TestCancelledImport: a cancelled import leaves nothing, and its error does not blame the source.
func TestCancelledImport(t *testing.T) {
	t.Parallel()
	src, dir := exported(t, run.LM, ""), filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Import(ctx, src, dir, Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was left")
	}
	out := filepath.Join(t.TempDir(), "out")
	if _, err := Export(ctx, tinyRun(t, run.AR), out, ""); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(out)); len(entries) > 0 {
		t.Errorf("something was left: %v", entries)
	}
}

// TestImportByName: a model with a name on the hub is found in the cache, and the run's configuration has the name.
func TestImportByName(t *testing.T) {
	t.Setenv("HF_HUB_OFFLINE", "1")
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	t.Chdir(t.TempDir())
	model := filepath.Join(os.Getenv("HF_HUB_CACHE"), "models--org--name")
	snapshot := filepath.Join(model, "snapshots", strings.Repeat("0a", 20))
	err := errors.Join(os.MkdirAll(filepath.Dir(snapshot), 0o777), os.MkdirAll(filepath.Join(model, "refs"), 0o777),
		os.WriteFile(filepath.Join(model, "refs", "v1"), []byte(filepath.Base(snapshot)), 0o666), os.Rename(exported(t, run.LM, ""), snapshot))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = bring(t, "org/name@v1", Options{AE: "org/name@v1"}); err == nil || !strings.Contains(err.Error(), "its autoencoder") {
		t.Errorf("a language model is no autoencoder: %v", err)
	}
	dir, _, err := bring(t, "org/name@v1", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := run.Describe(dir, false); err != nil || m.Imported != "org/name@v1" {
		t.Errorf("imported from %q, %v", m.Imported, err)
	}
	t.Setenv("HF_HUB_OFFLINE", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Import(ctx, "org/name", filepath.Join(t.TempDir(), "run"), Options{}); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "no directory") {
		t.Errorf("interrupted: %v", err)
	}
}
