package head

import "github.com/calm-go/calm/config"

// Config holds the keys of the reference's config.json that concern the head. The language model embeds it in its own.
type Config struct {
	ModelType     string  `json:"model_type"`     // which head
	NumMLPLayers  int     `json:"num_mlp_layers"` // blocks
	NumSamples    int     `json:"num_samples"`    // N, samples a position in training
	Beta          float64 `json:"beta"`           // the energy score's exponent
	NoiseSize     int     `json:"noise_size"`     // S
	TargetSamples int     `json:"target_samples"` // M, posterior samples a position; the reference has 100, no key
}

// Default is the energy head of the published models.
func Default() Config {
	return Config{ModelType: "energy", NumMLPLayers: 4, NumSamples: 8, Beta: 1, NoiseSize: 64, TargetSamples: 100}
}

// Validate reports everything that is wrong, as a *config.Error.
func (c Config) Validate() error {
	var p config.Problems
	config.OneOf(&p, "model_type", c.ModelType, "energy")
	config.AtLeast(&p, "num_mlp_layers", c.NumMLPLayers, 1)
	config.AtLeast(&p, "num_samples", c.NumSamples, 2)
	p.Check(c.Beta > 0 && c.Beta <= 2, "beta", c.Beta, "want more than 0 and at most 2: elsewhere the score is no score")
	config.AtLeast(&p, "noise_size", c.NoiseSize, 1)
	config.AtLeast(&p, "target_samples", c.TargetSamples, 1)
	return p.Err()
}
