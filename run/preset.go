package run

import (
	"fmt"
	"maps"
	"slices"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/lm"
)

// Shape returns the model of a preset without a run: it has no tokenizer, and its parameters have no values. It has the
// preset's own vocabulary. sets are key=value assignments to keys of the model and its training; of several for the same key
// the last one counts. kind may be "" if the preset belongs to one kind only. If training is true, the parameters include those
// that only training needs. Unknown names are a *UsageError, wrong assignments a *config.Error.
func Shape(preset string, kind Kind, training bool, sets []string) (*Model, error) {
	k, err := kindOf(preset, kind)
	if err != nil {
		return nil, err
	}
	p, err := k.shape(preset, common(k.name, preset), sets)
	if err != nil {
		return nil, err
	}
	return newModel("", nil, p, training), nil
}

func shapeAE(preset string, c Common, sets []string) (plan, error) {
	full, err := config.Compose(AEConfig{c, autoencoder.Presets()[preset]}, "", sets)
	return full.plan(), err
}

func shapeAR(preset string, c Common, sets []string) (plan, error) {
	full, err := config.Compose(ARConfig{c, ar.Presets()[preset]}, "", sets)
	return full.plan(), err
}

func shapeLM(preset string, c Common, sets []string) (plan, error) {
	own := LMConfig{c, lm.Presets()[preset]}
	ae, err := autoencoderOf(own.LanguageConfig)
	if err != nil {
		return plan{}, err
	}
	full, err := config.ComposeWith(own, "", sets, func(c *LMConfig, given func(string) bool) error {
		ae = c.Under(ae) // keys that the two share are set once, for both
		if !given("init_embeddings") {
			c.LanguageConfig = c.Fit(ae)
		}
		return c.ValidateWith(ae)
	})
	return full.plan(ae), err
}

// autoencoderOf returns the first preset of an autoencoder that fits a language model.
func autoencoderOf(c lm.Config) (autoencoder.Config, error) {
	all := autoencoder.Presets()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if a := all[name]; c.ValidateWith(a) == nil {
			return a, nil
		}
	}
	return autoencoder.Config{}, fmt.Errorf("no preset of an autoencoder has patch_size = %d, vocab_size = %d and latent_size = %d", c.PatchSize, c.VocabSize, c.LatentSize)
}
