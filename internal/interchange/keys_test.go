package interchange

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calm-go/calm/run"
)

// TestForeignKeys: keys that calm does not know are listed in a note. They are refused only if they change what the model computes.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	for _, kind := range []run.Kind{run.AE, run.LM, run.AR} {
		src := exported(t, kind, "")
		plain, err := os.ReadFile(filepath.Join(src, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		with := func(text string) {
			t.Helper()
			var keys map[string]any
			if err := json.Unmarshal(plain, &keys); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte("{"+text+"}"), &keys); err != nil { // over the others
				t.Fatal(text, err)
			}
			data, err := json.Marshal(keys)
			if err == nil {
				err = os.WriteFile(filepath.Join(src, "config.json"), data, 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for text, note := range map[string]string{
			`"cache_dir": null, "revision": "main", "trust_remote_code": false`: "keys that calm does not use: cache_dir, revision, trust_remote_code",
			`"_attn_implementation_autoset": true`:                              "_attn_implementation_autoset",
			`"attn_implementation": "eager", "attention_dropout": 0.1`:          "attention_dropout, attn_implementation",
			`"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}`:          "id2label, label2id",
			`"temperature": 0.7, "top_p": 0.9, "do_sample": true`:               "do_sample, temperature, top_p",
			`"eos_token_id": [257, 5]`:                                          "eos_token_id is a list, [257,5]: its first id counts",
			`"attention_dropout": 0.0, "sliding_window": null, "quantization_config": null, "use_qk_norm": false, "logit_scale": 1.0,
				"layer_types": ["full_attention", "full_attention"], "rope_scaling": {"rope_type": "default"}, "pretraining_tp": 2`: "",
			`"sliding_window": 4096, "use_sliding_window": false`:                "",
			`"rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}`: "",
			`"` + strings.Repeat("long", 1000) + `": 1`:                          "longlong...",
			many(500): "and 488 more",
		} {
			with(text)
			_, r, err := bring(t, src, Options{})
			if err != nil {
				t.Errorf("%s with %.100s: %v", kind, text, err)
				continue
			}
			all := strings.Join(r.Notes, "\n")
			if !strings.Contains(all, note) || note == "" && strings.Contains(all, "does not use") {
				t.Errorf("%s with %.100s: no %q in the notes:\n%s", kind, text, note, all)
			}
		}
		for text, words := range map[string]string{
			`"rope_scaling": {"type": "linear", "factor": 2.0}`: "rope_scaling.type",
			`"rope_scaling": 3`: "rope_scaling = 3",
			`"rope_parameters": {"rope_type": "llama3", "factor": 8.0}`:                 "rope_parameters.rope_type",
			`"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}`: "partial_rotary_factor",
			`"rope_parameters": {"full_attention": {"rope_type": "default"}}`:           "rope_parameters.full_attention",
			`"rope_theta": 10000.0, "rope_parameters": {"rope_theta": 500000.0}`:        "want what rope_theta says",
			`"sliding_window": 4096`:                                 "sliding_window",
			`"attention_bias": true`:                                 "attention_bias",
			`"use_qkv_bias": true`:                                   "use_qkv_bias",
			`"final_logit_softcapping": 30.0`:                        "final_logit_softcapping",
			`"attn_logit_softcapping": 50.0`:                         "attn_logit_softcapping",
			`"quantization_config": {"bits": 4}`:                     "quantization_config",
			`"quantization": 4`:                                      "quantization",
			`"hidden_act": "gelu"`:                                   "hidden_act",
			`"embedding_multiplier": 12.0`:                           "embedding_multiplier",
			`"logit_scale": 0.0625`:                                  "logit_scale",
			`"qk_norm": true`:                                        "qk_norm",
			`"num_local_experts": 8`:                                 "num_local_experts",
			`"layer_types": ["full_attention", "sliding_attention"]`: "layer_types",
			`"layer_types": ["full_attention"` + `, 3]`:              "layer_types",
			`"partial_rotary_factor": 0.5`:                           "partial_rotary_factor",
			`"eos_token_id": "x"`:                                    "eos_token_id",
			`"eos_token_id": [1, 99999999999]`:                       "eos_token_id",
			`"bos_token_id": -9223372036854775808`:                   "bos_token_id",
			`"max_position_embeddings": -1`:                          "max_position_embeddings",
		} {
			with(text)
			refused(t, src, Options{}, words, filepath.Join(src, "config.json"))
		}
	}
}

// many returns n unknown keys.
func many(n int) string {
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprintf(`"key%03d": 1`, i))
	}
	return strings.Join(keys, ", ")
}

// TestRopeParameters: transformers 5 writes rope_theta inside rope_parameters.
func TestRopeParameters(t *testing.T) {
	t.Parallel()
	for _, kind := range []run.Kind{run.LM, run.AR} {
		src := exported(t, kind, "")
		rekey(t, src, func(keys map[string]any) {
			delete(keys, "rope_theta")
			keys["rope_parameters"] = map[string]any{"rope_theta": 123456.0, "rope_type": "default"}
		})
		dir, _, err := bring(t, src, Options{})
		if err != nil {
			t.Fatal(err)
		}
		checkKeys(t, filepath.Join(dir, "config.json"), map[string]any{"rope_theta": 123456.0})
	}
}

// TestClassNames: whatever the names of a model's classes are, they are an error or known, or the tensors tell the kind.
func TestClassNames(t *testing.T) {
	t.Parallel()
	src := exported(t, run.LM, "")
	imported, failed := 0, 0
	for _, classes := range []string{`["Transformer"]`, `["transformer"]`, `[""]`, `[]`, `["", "Transformer", "x"]`, `["TransformerTransformer"]`,
		`["ÉnergyTransformer"]`, `["\u0000Transformer"]`, `["` + strings.Repeat("x", 100000) + `Transformer"]`, `["Energy Transformer"]`,
		`["MistralForCausalLM"]`, `null`, `"Transformer"`, `[3]`, `{}`, `[null]`, `[["Transformer"]]`} {
		rekey(t, src, func(keys map[string]any) { keys["architectures"] = json.RawMessage(classes) })
		_, r, err := bring(t, src, Options{})
		if err == nil {
			imported++
			if r.Model != "EnergyTransformer" {
				t.Errorf("%.50s is a %s", classes, r.Model)
			}
			continue
		}
		failed++
		if len(err.Error()) > 2000 {
			t.Errorf("%.50s: an error of %d bytes", classes, len(err.Error()))
		}
	}
	if imported < 5 || failed < 5 {
		t.Errorf("%d imported, %d refused", imported, failed)
	}
	if err := os.WriteFile(filepath.Join(src, "config.json"), []byte(`{"architectures":["Transformer"]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := bring(t, src, Options{}); err == nil || !strings.Contains(err.Error(), "hidden_size") {
		t.Errorf("without sizes: %v", err)
	}
}
