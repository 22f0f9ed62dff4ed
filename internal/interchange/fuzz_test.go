package interchange

import (
	"maps"
	"path/filepath"
	"testing"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/memtest"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/run"
)

// FuzzIndex: the files of a valid index are in its directory.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata": {"total_size": 8}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "pytorch_model.bin"}}`))
	f.Add([]byte(`{"weight_map": {"a": "../x.bin"}}`))
	f.Add([]byte(`{"weight_map": {"a": 3}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		within := memtest.Within(t, len(data), 1<<18)
		where, err := parseIndex(data)
		within()
		if err != nil {
			return
		}
		if len(where) == 0 {
			t.Error("an empty index")
		}
		for _, file := range where {
			if !filepath.IsLocal(file) || filepath.Dir(file) != "." {
				t.Errorf("a file elsewhere: %q", file)
			}
		}
	})
}

// FuzzConfig: every config.json either is an error or describes a valid model, with no more layers than tensors. Memory is in
// proportion to the file's size, since no weights are allocated.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"architectures": ["Autoencoder"], "patch_size": 4, "latent_size": 8, "hidden_size": 12, "intermediate_size": 32, "num_encoder_layers": 2, "num_decoder_layers": 2, "vocab_size": 64, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 63}`))
	f.Add([]byte(`{"architectures": ["LlamaForCausalLM"], "hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64, "bos_token_id": 1, "eos_token_id": 2}`))
	f.Add([]byte(`{"architectures": ["EnergyTransformer"], "hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 64, "patch_size": 4, "latent_size": 8, "num_mlp_layers": 1000000000, "bos_token_id": 1, "eos_token_id": 2}`))
	f.Add([]byte(`{"architectures": ["Transformer"]}`))
	f.Add([]byte(`{"architectures": ["", null, "x"], "eos_token_id": [1, 2], "rope_parameters": {"rope_theta": 1e4}, "layer_types": [3]}`))
	sets := []map[string]source{{}}
	for _, list := range [][]checkpoint.Stream{
		{{Name: "ae_model.encoder.norm.weight", Shape: []int{12}}, {Name: "ae_model.decoder.latent_to_hidden.weight", Shape: []int{12, 8}},
			{Name: "ae_model.encoder.squeeze_layer.weight", Shape: []int{12, 48}}, {Name: "transformer.embed_tokens.weight", Shape: []int{64, 16}}},
		{{Name: "transformer.embed_tokens.weight"}, {Name: "ae_model.encoder.norm.weight"}},
		{{Name: aeHead, Shape: []int{64, 12}}, {Name: aeTable}},
		{{Name: "model.embed_tokens.weight", Shape: []int{64, 16}}, {Name: "lm_head.weight"}},
	} {
		set := map[string]source{}
		for _, s := range list {
			set[s.Name] = source{Stream: s}
		}
		sets = append(sets, set)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		defer memtest.Within(t, len(data), 1<<20)()
		for _, few := range sets {
			describeFuzzed(t, data, few)
		}
	})
}

// describeFuzzed describes the model that a config.json and some tensors have.
func describeFuzzed(t *testing.T, data []byte, few map[string]source) {
	ref, err := parseReference("config.json", data)
	if err != nil {
		return
	}
	kind, head, err := ref.kindOf(few)
	if err != nil {
		return
	}
	ref.AEPath = nil // would be looked up on this machine
	m := &model{tensors: maps.Clone(few), params: nn.NewParams()}
	if m.describe(t.Context(), &describer{dir: "x", reference: ref, tensors: few}, kind, head, "") != nil {
		return
	}
	layers := 0
	switch c := m.config.(type) {
	case *run.AEConfig:
		layers = max(c.NumEncoderLayers, c.NumDecoderLayers)
	case *run.ARConfig:
		layers = c.NumHiddenLayers
	case *run.LMConfig:
		keys, err := headKeysOf(c.Options)
		if err != nil {
			t.Fatal(err)
		}
		layers = max(c.NumHiddenLayers, keys.NumMLPLayers)
	}
	if layers > len(few) {
		t.Errorf("%d layers of %d tensors", layers, len(few))
	}
}
