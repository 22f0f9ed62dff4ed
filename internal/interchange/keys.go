package interchange

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/internal/plural"
)

// silent are keys that transformers writes into every file. They do not change what a model computes, so they are not worth a
// note.
var silent = []string{
	"_name_or_path", "auto_map", "transformers_version", "torch_dtype", "dtype", "use_cache", "return_dict", "use_return_dict",
	"output_attentions", "output_hidden_states", "initializer_range", "pretraining_tp",
	"bos_token_id", "eos_token_id", "pad_token_id", // see tokenID
	"rope_scaling", "rope_parameters", "rope_theta", // see rope
}

// features are keys that turn on what calm's models do not have. Each is refused unless it is null or has one of these values, in
// canonical JSON, which say that the feature is off.
var features = map[string][]string{
	"attention_bias":          {"false"}, // biases of the four projections
	"hidden_act":              {`"silu"`, `"swish"`},
	"hidden_activation":       {`"silu"`, `"swish"`},
	"rope_type":               {`"default"`},
	"rope_interleaved":        {"false"},
	"rope_interleave":         {"false"},
	"partial_rotary_factor":   {"1"}, // part of a head's numbers that are rotated
	"rotary_pct":              {"1"},
	"position_embedding_type": {`"rope"`, `"rotary"`},
	"is_encoder_decoder":      {"false"},
	"norm_type":               {`"rmsnorm"`, `"rms_norm"`},
}

// telling are parts of the names of keys that change what other models compute. A key that calm does not know is refused if it has
// one of them, unless its value says that the feature is off.
var telling = []string{
	"bias", "softcap", "soft_cap", "capping", "quant", "window", "rope", "rotary", "alibi", "position_embedding", "scale", "scaling",
	"scalar", "multiplier", "norm", "expert", "moe", "router", "lora", "adapter", "activation", "clip", "residual", "attention", "attn",
	"layer_types", "block_types", "sparse", "parallel", "logit", "conv", "hidden_act",
}

// harmless are parts of the names of keys that have a telling part and yet change nothing, or training alone.
var harmless = []string{"dropout", "implementation", "output_attentions", "initializer", "flash_attn", "renormalize", "logits_to_keep"}

// foreign refuses keys that change what the model computes in a way that calm does not have. The other keys that calm does not know
// are listed in a note.
func (r *reference) foreign(problems *config.Problems, all map[string]jsontext.Value) {
	known := append(config.Keys(*r), silent...)
	var unused []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		raw := all[key]
		if slices.Contains(known, key) {
			continue
		}
		if off, ok := features[key]; ok {
			if !says(raw, off...) {
				problems.Add(key, jsonText(raw), "want "+strings.Join(off, " or ")+": calm's models have nothing else")
			}
			continue
		}
		switch off := isOff(key, raw); {
		case !has(key, telling):
			unused = append(unused, key)
		case off, has(key, []string{"window"}) && says(all["use_sliding_window"], "false"):
		case has(key, harmless):
			unused = append(unused, key)
		default:
			problems.Add(plural.Shorten(key), jsonText(raw), "calm does not know this key, and by its name it may change what the model computes")
		}
	}
	if len(unused) > 0 {
		r.note("config.json has keys that calm does not use: %s", listed(unused))
	}
}

// has reports whether a key's name has one of the parts.
func has(key string, parts []string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(key, part) })
}

// says reports whether a value is null or one of values, in canonical JSON.
func says(raw jsontext.Value, values ...string) bool {
	v := raw.Clone() // Canonicalize writes into it
	return v.Canonicalize() == nil && (string(v) == "null" || slices.Contains(values, string(v)))
}

// isOff reports whether the value of a key that calm does not know says that its feature is off: null, 0, false, an empty value, a
// name of nothing, a factor of 1, or layers that all have full attention.
func isOff(key string, raw jsontext.Value) bool {
	if key == "layer_types" {
		var types []string
		if json.Unmarshal(raw, &types) == nil && !slices.ContainsFunc(types, func(t string) bool { return t != "full_attention" }) {
			return true
		}
	}
	return says(raw, "false", "0", `""`, "[]", "{}", `"none"`, `"default"`, `"off"`) ||
		says(raw, "1") && has(key, []string{"scale", "scaling", "multiplier"})
}

// rope reads the rotary positions: rope_theta, which transformers 5 writes inside rope_parameters, and their kind, of which calm
// has only the default.
func (r *reference) rope(problems *config.Problems, all map[string]jsontext.Value) {
	for _, key := range []string{"rope_scaling", "rope_parameters"} {
		raw := all[key]
		if len(raw) == 0 || raw.Kind() == 'n' {
			continue
		}
		var inside map[string]jsontext.Value
		if err := json.Unmarshal(raw, &inside); err != nil {
			problems.Add(key, jsonText(raw), "want null or an object")
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(inside)) {
			r.ropeKey(problems, key+"."+plural.Shorten(name), name, inside[name])
		}
	}
}

// ropeKey reads a key of rope_parameters. Messages call it full.
func (r *reference) ropeKey(problems *config.Problems, full, name string, raw jsontext.Value) {
	switch name {
	case "rope_theta":
		var theta *float64
		if json.Unmarshal(raw, &theta) != nil {
			problems.Add(full, jsonText(raw), "want a number")
		} else if theta != nil {
			problems.Check(r.RopeTheta == nil || *r.RopeTheta == *theta, full, *theta, "want what rope_theta says")
			r.RopeTheta = theta
		}
	case "rope_type", "type":
		if !says(raw, features["rope_type"]...) {
			problems.Add(full, jsonText(raw), `want "default", the only value supported`)
		}
	case "partial_rotary_factor":
		if !says(raw, features[name]...) {
			problems.Add(full, jsonText(raw), "want 1, the only value supported")
		}
	default:
		if !says(raw) {
			problems.Add(full, jsonText(raw), "rotary positions other than the default ones are not supported")
		}
	}
}

// listMax is how many names a message lists; more are only counted.
const listMax = 12

// listed joins names for a message.
func listed(names []string) string {
	if len(names) == 0 {
		return "missing"
	}
	var short []string
	for _, name := range names[:min(len(names), listMax)] {
		short = append(short, plural.Shorten(name))
	}
	text := strings.Join(short, ", ")
	if more := len(names) - listMax; more > 0 {
		text = fmt.Sprintf("%s and %d more", text, more)
	}
	return text
}

// jsonText is a value in a message, as it stands in the file.
type jsonText jsontext.Value

// String returns the value on one line, at most 60 characters of it.
func (v jsonText) String() string {
	return plural.Shorten(strings.Join(strings.Fields(string(v)), " "))
}
