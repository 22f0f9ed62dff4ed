package run

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/tokenizer"
)

// Kind says what a run trains.
type Kind string

const (
	AE Kind = "ae" // an autoencoder
	LM Kind = "lm" // a language model over a frozen autoencoder
	AR Kind = "ar" // the token-level baseline
)

// Title names a model of the kind in a sentence: an autoencoder, a language model, the token-level baseline.
func (k Kind) Title() string {
	if t, ok := kindNamed(k); ok {
		return t.title
	}
	return string(k)
}

// kind is what package run knows of a kind of model: what has to be decided before there is a model. All else the model
// knows itself, see [Network].
type kind struct {
	name    Kind
	title   string
	presets []string // names, sorted
	// inside begins the names of the parameters of the frozen autoencoder that a model of this kind has inside, and
	// whose run it needs to be trained over; "" where it needs none.
	inside string
	// sampling says that keys of how the model samples (head.SamplingKeys) can be set anew for a trained one.
	sampling bool
	// compose resolves the configuration of a new run, shape that of a preset without a run, and read that of a run that
	// is there, config.json at path.
	compose func(o Options, over foundation) (plan, error)
	shape   func(preset string, c Common, sets []string) (plan, error)
	read    func(path string, sets []string) (plan, error)
}

// foundation is what a new model is made for: a tokenizer, and an autoencoder's run where the kind needs one.
type foundation struct {
	tokenizer   *tokenizer.Tokenizer
	autoencoder *Model // nil where it needs none
}

// plan is a resolved configuration, and how to declare the model that it describes.
type plan struct {
	config  any     // *AEConfig, *LMConfig or *ARConfig, as it stands in config.json
	common  *Common // a part of it
	declare func(ps *nn.Params, training bool) Network
}

// kinds are all kinds of models.
func kinds() []kind {
	return []kind{
		{AE, "an autoencoder", names(autoencoder.Presets()), "", false, composeAE, shapeAE, readAE},
		{LM, "a language model", names(lm.Presets()), lm.AEPrefix, true, composeLM, shapeLM, readLM},
		{AR, "the token-level baseline", names(ar.Presets()), "", false, composeAR, shapeAR, readAR},
	}
}

func names[T any](presets map[string]T) []string { return slices.Sorted(maps.Keys(presets)) }

func kindNamed(name Kind) (kind, bool) {
	for _, k := range kinds() {
		if k.name == name {
			return k, true
		}
	}
	return kind{}, false
}

// Presets lists the presets of the kind.
func (k Kind) Presets() []string {
	of, _ := kindNamed(k)
	return of.presets
}

// KindOf returns the kind of a preset's models: the one asked for, or with "" the only one there is.
func KindOf(preset string, asked Kind) (Kind, error) {
	if asked != "" {
		k, ok := kindNamed(asked)
		switch {
		case !ok:
			return "", usage("--model %q: want ae, lm or ar", asked)
		case !slices.Contains(k.presets, preset):
			return "", usage("--preset %q: there is no such preset of kind %s: have %v", preset, asked, k.presets)
		}
		return asked, nil
	}
	var found []Kind
	var have []string
	for _, k := range kinds() {
		if slices.Contains(k.presets, preset) {
			found = append(found, k.name)
		}
		have = append(have, fmt.Sprint(k.presets))
	}
	switch len(found) {
	case 0:
		last := len(have) - 1
		return "", usage("--preset %q: there is no such preset: have %s and %s", preset, strings.Join(have[:last], ", "), have[last])
	case 1:
		return found[0], nil
	}
	return "", usage("--preset %q: there are presets of kinds %v with that name: say which with --model", preset, found)
}

func (c AEConfig) plan() plan {
	return plan{&c, &c.Common, func(ps *nn.Params, _ bool) Network { return autoencoder.New(c.AutoencoderConfig, ps, "") }}
}

// plan declares the language model over an autoencoder of that configuration.
func (c LMConfig) plan(ae autoencoder.Config) plan {
	return plan{&c, &c.Common, func(ps *nn.Params, training bool) Network {
		model := c.LanguageConfig
		if !training {
			model = model.Inference()
		}
		return lm.New(model, ae, ps)
	}}
}

func (c ARConfig) plan() plan {
	return plan{&c, &c.Common, func(ps *nn.Params, _ bool) Network { return ar.New(c.BaselineConfig, ps) }}
}
