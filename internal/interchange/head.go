package interchange

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/nn"
)

// headKeys are the keys of config.json, besides num_samples, that the reference has for every head, used or not.
type headKeys struct {
	NumMLPLayers int     `json:"num_mlp_layers"`
	Beta         float64 `json:"beta"`
	NoiseSize    int     `json:"noise_size"`
}

// referenceHeadKeys are the reference's defaults.
var referenceHeadKeys = headKeys{NumMLPLayers: 4, Beta: 1, NoiseSize: 64}

// headKeysOf returns a head's values of these keys, and the reference's defaults for keys that the head lacks.
func headKeysOf(o head.Options) (headKeys, error) {
	keys := referenceHeadKeys
	text, err := config.Encode(o)
	if err != nil {
		return keys, err
	}
	return keys, json.Unmarshal(text, &keys)
}

// head reads the keys of a language model's head.
func (d *describer) head(name string) (head.Config, error) {
	r, c := d.reference, head.DefaultOf(name)
	kind, known := head.Lookup(name)
	if !known || kind.Reference.Class == "" {
		err := fmt.Errorf("the model has a head of kind %q, which calm cannot run yet", name)
		if !known {
			err = fmt.Errorf("%w: %w", err, c.Validate())
		}
		return c, err
	}
	c.NumSamples = either(d, r.NumSamples, "num_samples", c.NumSamples)
	var sets []string
	layers := 0
	for _, key := range config.Keys(c.Options) {
		switch key {
		case "num_mlp_layers":
			layers = either(d, r.NumMLPLayers, key, referenceHeadKeys.NumMLPLayers)
			sets = append(sets, fmt.Sprintf("%s=%d", key, layers))
		case "beta":
			sets = append(sets, fmt.Sprintf("%s=%v", key, either(d, r.Beta, key, referenceHeadKeys.Beta)))
		case "noise_size":
			sets = append(sets, fmt.Sprintf("%s=%d", key, either(d, r.NoiseSize, key, referenceHeadKeys.NoiseSize)))
		}
	}
	c, err := config.Set(c, sets)
	if err != nil {
		return c, err
	}
	return c, d.layers(layers)
}

// headNamed returns the kind of head that a class of the reference has. For a kind that calm lacks it returns the name in the
// class. It returns false for a class that is not a language model, such as Transformer, which names no head.
func headNamed(class string) (name string, ok bool) {
	for _, k := range head.Kinds() {
		if class != "" && k.Reference.Class == class {
			return k.Name, true
		}
	}
	name, ok = strings.CutSuffix(class, "Transformer")
	return plural.Shorten(strings.ToLower(name)), ok && name != ""
}

// classOf returns the reference's class of a language model with that head, or "" if it has none.
func classOf(name string) string {
	kind, _ := head.Lookup(name)
	return kind.Reference.Class
}

// headOf returns the kind of head that has most parameters among the tensors, by name and shape; of equal ones the first.
func headOf(r *reference, have map[string]source) string {
	size := func(n *int) int {
		if n == nil || *n < 1 {
			return 1 // a missing key is reported later
		}
		return *n
	}
	best, name := -1, ""
	for _, k := range head.Kinds() {
		if k.Reference.Class == "" {
			continue
		}
		ps, found := nn.NewParams(), 0
		head.New(head.DefaultOf(k.Name), size(r.HiddenSize), size(r.LatentSize), 0, ps)
		for _, p := range ps.All() {
			if slices.ContainsFunc(names(p.Name), func(name string) bool { return slices.Equal(have[name].Shape, p.Shape) }) {
				found++
			}
		}
		if found > best {
			best, name = found, k.Name
		}
	}
	return name
}
