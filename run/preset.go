package run

import (
	"fmt"
	"maps"
	"slices"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
)

// Shape describes the model of a preset at its own vocabulary, with key=value over it and the preset's training
// settings: no run, no tokenizer, no values. kind "" stands for the only one there is. With training it has what only
// training needs.
func Shape(preset string, kind Kind, training bool, sets []string) (*Model, error) {
	kind, err := KindOf(preset, kind)
	if err != nil {
		return nil, err
	}
	return ShapeWith(preset, common(kind, preset), training, sets)
}

// ShapeWith is Shape with other training settings, of the kind that they name.
func ShapeWith(preset string, c Common, training bool, sets []string) (*Model, error) {
	m := &Model{Params: nn.NewParams()}
	switch c.Kind {
	case AE:
		full, err := config.Compose(AEConfig{c, autoencoder.Presets()[preset]}, "", sets)
		if err != nil {
			return nil, err
		}
		m.useAE(full)
	case LM:
		return m, m.shapeLM(LMConfig{c, lm.Presets()[preset]}, training, sets)
	default:
		full, err := config.Compose(ARConfig{c, ar.Presets()[preset]}, "", sets)
		if err != nil {
			return nil, err
		}
		m.useAR(full)
	}
	return m, nil
}

func (m *Model) shapeLM(preset LMConfig, training bool, sets []string) error {
	a, err := autoencoderOf(preset.LanguageConfig)
	if err != nil {
		return err
	}
	full, err := config.ComposeWith(preset, "", sets, func(c *LMConfig, given func(string) bool) error {
		// What the two share can be set once.
		a.PatchSize, a.LatentSize, a.VocabSize = c.PatchSize, c.LatentSize, c.VocabSize
		a.BOSTokenID, a.EOSTokenID, a.PadTokenID = c.BOSTokenID, c.EOSTokenID, c.PadTokenID
		if !given("init_embeddings") {
			settleEmbeddings(&c.LanguageConfig, a)
		}
		return c.ValidateWith(a)
	})
	if err != nil {
		return err
	}
	m.useLM(full, a, training)
	return nil
}

// KindOf returns the kind of a preset's models: the one asked for, or with "" the only one there is.
func KindOf(preset string, kind Kind) (Kind, error) {
	all := []Kind{AE, AR, LM}
	if kind != "" {
		switch {
		case !slices.Contains(all, kind):
			return "", usage("--model %q: want ae, lm or ar", kind)
		case !slices.Contains(presetNames(kind), preset):
			return "", usage("--preset %q: there is no such preset of kind %s: have %v", preset, kind, presetNames(kind))
		}
		return kind, nil
	}
	found := slices.DeleteFunc(slices.Clone(all), func(k Kind) bool { return !slices.Contains(presetNames(k), preset) })
	switch len(found) {
	case 0:
		return "", usage("--preset %q: there is no such preset: have %v, %v and %v", preset, presetNames(AE), presetNames(LM), presetNames(AR))
	case 1:
		return found[0], nil
	}
	return "", usage("--preset %q: there are presets of kinds %v with that name: say which with --model", preset, found)
}

func presetNames(kind Kind) []string {
	switch kind {
	case AE:
		return slices.Sorted(maps.Keys(autoencoder.Presets()))
	case LM:
		return slices.Sorted(maps.Keys(lm.Presets()))
	}
	return slices.Sorted(maps.Keys(ar.Presets()))
}

// autoencoderOf returns the preset of an autoencoder that a language model goes with.
func autoencoderOf(c lm.Config) (autoencoder.Config, error) {
	all := autoencoder.Presets()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if a := all[name]; c.ValidateWith(a) == nil {
			return a, nil
		}
	}
	return autoencoder.Config{}, fmt.Errorf("no preset of an autoencoder has patches of %d tokens of %d and %d latent dimensions", c.PatchSize, c.VocabSize, c.LatentSize)
}
