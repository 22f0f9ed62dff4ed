package head

import (
	"fmt"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head/diffusion"
	"github.com/calm-go/calm/head/flow"
)

// Config holds the keys of the reference's config.json that concern the head. The language model embeds it in its own.
type Config struct {
	ModelType     string  `json:"model_type"`     // which head: energy, diffusion, flow
	NumMLPLayers  int     `json:"num_mlp_layers"` // blocks
	NumSamples    int     `json:"num_samples"`    // N, samples (energy) or targets a position in training
	Beta          float64 `json:"beta"`           // the energy score's exponent
	NoiseSize     int     `json:"noise_size"`     // S
	TargetSamples int     `json:"target_samples"` // M, posterior samples a position; the reference has 100, no key

	// How diffusion and flow draw; training does not depend on it.
	SamplingSteps int    `json:"sampling_steps"` // steps of a draw; 0 for the paper's, see Steps
	Solver        string `json:"solver"`         // of the flow head: midpoint, euler
}

// Default is the energy head of the published models.
func Default() Config {
	return Config{ModelType: EnergyType, NumMLPLayers: 4, NumSamples: 8, Beta: 1, NoiseSize: 64, TargetSamples: 100, Solver: string(flow.Midpoint)}
}

// SamplingKeys are the keys that can be set anew for a trained model.
func SamplingKeys() []string { return []string{"sampling_steps", "solver"} }

// SamplingKeys are those of them that change how this head draws.
func (c Config) SamplingKeys() []string {
	switch c.ModelType {
	case FlowType:
		return SamplingKeys()
	case DiffusionType:
		return []string{"sampling_steps"}
	}
	return nil
}

// Steps returns the number of steps of a draw: SamplingSteps, or the paper's: 100 of diffusion, 10 of flow; 1 of energy.
func (c Config) Steps() int {
	switch {
	case c.SamplingSteps > 0:
		return c.SamplingSteps
	case c.ModelType == DiffusionType:
		return 100
	case c.ModelType == FlowType:
		return 10
	}
	return 1
}

// Validate reports everything that is wrong, as a *config.Error.
func (c Config) Validate() error {
	var p config.Problems
	config.OneOf(&p, "model_type", c.ModelType, EnergyType, DiffusionType, FlowType)
	config.Within(&p, "num_mlp_layers", c.NumMLPLayers, 1, config.MostLayers)
	if c.ModelType == DiffusionType || c.ModelType == FlowType {
		config.Within(&p, "num_samples", c.NumSamples, 1, mostSamples)
	} else {
		config.Within(&p, "num_samples", c.NumSamples, 2, mostSamples)
	}
	p.Check(c.Beta > 0 && c.Beta <= 2, "beta", c.Beta, "want more than 0 and at most 2: elsewhere the score is no score")
	config.Within(&p, "noise_size", c.NoiseSize, 1, config.MostWidth)
	config.Within(&p, "target_samples", c.TargetSamples, 1, mostTargets)
	c.validateSteps(&p)
	config.OneOf(&p, "solver", c.Solver, string(flow.Midpoint), string(flow.Euler))
	return p.Err()
}

// What bounds the time and the memory that a slip of the pen can take.
const (
	mostFlowSteps = 1_000_000
	mostSamples   = 4096
	mostTargets   = 65_536
)

func (c Config) validateSteps(p *config.Problems) {
	n := c.SamplingSteps
	switch c.ModelType {
	case DiffusionType:
		p.Check(n == 0 || n >= 2 && n <= diffusion.Steps, "sampling_steps", n, fmt.Sprintf("want 0 for the paper's 100, or 2 to %d", diffusion.Steps))
	case FlowType:
		config.Within(p, "sampling_steps", n, 0, mostFlowSteps)
	case EnergyType:
		p.Check(n == 0, "sampling_steps", n, "want 0: the energy head draws in one step")
	}
}
