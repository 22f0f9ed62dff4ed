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

// Kind is the kind of model that a run trains.
type Kind string

// The kinds of models.
const (
	AE Kind = "ae" // an autoencoder
	LM Kind = "lm" // a language model over a frozen autoencoder
	AR Kind = "ar" // the token-level baseline
)

// Title returns the kind's name in a sentence: "an autoencoder", "a language model" or "the token-level baseline". For an
// unknown kind it returns the kind itself.
func (k Kind) Title() string {
	if t, ok := kindNamed(k); ok {
		return t.title
	}
	return string(k)
}

// kind is what package run needs of a kind of model before a model exists. A [Network] knows everything else.
type kind struct {
	name    Kind
	title   string   // see Kind.Title
	presets []string // names, sorted
	// inside is the prefix of the parameters of the frozen autoencoder inside a model of this kind. It is "" where the kind
	// needs no autoencoder.
	inside string
	// sampling is true where Open can set how the model samples (head.SamplingKeys).
	sampling bool
	// compose resolves the configuration of a new run.
	compose func(o Options, over foundation) (plan, error)
	// shape resolves the configuration of a preset without a run.
	shape func(preset string, c Common, sets []string) (plan, error)
	// read resolves the configuration of an existing run, from its config.json at path.
	read func(path string, sets []string) (plan, error)
}

// foundation is what a new model is trained on: a tokenizer, and an autoencoder's run where the kind needs one.
type foundation struct {
	tokenizer   *tokenizer.Tokenizer
	autoencoder *Model // nil where the kind needs none
}

// plan is a resolved configuration, and how to declare the model that it describes.
type plan struct {
	config  any     // *AEConfig, *LMConfig or *ARConfig, as in config.json
	common  *Common // a part of config
	declare func(ps *nn.Params, training bool) Network
}

// kinds lists all kinds of models.
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

// Presets lists the names of the kind's presets, sorted.
func (k Kind) Presets() []string {
	of, _ := kindNamed(k)
	return of.presets
}

// kindOf returns the kind of a preset. asked is the kind that the user named; if it is "", the preset's name must belong to
// one kind only. Unknown names are a *UsageError.
func kindOf(preset string, asked Kind) (kind, error) {
	if asked != "" {
		k, ok := kindNamed(asked)
		switch {
		case !ok:
			return kind{}, usage("--model %q: want ae, lm or ar", asked)
		case !slices.Contains(k.presets, preset):
			return kind{}, usage("--preset %q: no such preset of kind %s: want one of %v", preset, asked, k.presets)
		}
		return k, nil
	}
	var found []kind
	var names []Kind
	var have []string
	for _, k := range kinds() {
		if slices.Contains(k.presets, preset) {
			found, names = append(found, k), append(names, k.name)
		}
		have = append(have, fmt.Sprint(k.presets))
	}
	switch len(found) {
	case 0:
		last := len(have) - 1
		return kind{}, usage("--preset %q: no such preset: want one of %s or %s", preset, strings.Join(have[:last], ", "), have[last])
	case 1:
		return found[0], nil
	}
	return kind{}, usage("--preset %q: the kinds %v have presets of that name: choose one with --model", preset, names)
}

func (c AEConfig) plan() plan {
	return plan{&c, &c.Common, func(ps *nn.Params, _ bool) Network { return autoencoder.New(c.AutoencoderConfig, ps, "") }}
}

// plan declares the language model with an autoencoder of the configuration ae inside.
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
