package flops_test

import (
	"math"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/lm"
)

// The formulas of docs/flops.md, with its letters and in its order. A capital letter is a number of multiply-adds a
// position; training and written are FLOPs a position.

// layers is W: the linear maps of the backbone.
func layers(c backbone.Config) (w float64) {
	d, f, n := float64(c.HiddenSize), float64(c.IntermediateSize), float64(c.NumHiddenLayers)
	dk := d * float64(c.NumKeyValueHeads) / float64(c.NumAttentionHeads)
	return n * (2*d*d + 2*d*dk + 3*d*f)
}

// attention is A(C): attending to C positions.
func attention(c backbone.Config, positions float64) (a float64) {
	return 2 * float64(c.NumHiddenLayers*c.HiddenSize) * positions
}

// coder is G and U: the encoder and the decoder, for one patch.
func coder(c autoencoder.Config) (g, u float64) {
	d, f, z, k := float64(c.HiddenSize), float64(c.IntermediateSize), float64(c.LatentSize), float64(c.PatchSize)
	half := func(e int) float64 { return float64(e/2) * 3 * d * f }
	g = (k+1)*half(c.NumEncoderLayers) + k*d*d + 2*z*d
	u = (k+1)*half(c.NumDecoderLayers) + k*d*d + z*d + k*d*float64(c.VocabSize)
	return g, u
}

// input is what the backbone's input takes: I of tokens; ZD after G - Zd, which is frozen, of latents; or both.
func input(c lm.Config, ae autoencoder.Config) (training, written float64) {
	d, z := float64(c.HiddenSize), float64(c.LatentSize)
	i := (2*float64(c.PatchSize) + 2) * d * d
	g, _ := coder(ae)
	mean := g - z*float64(ae.HiddenSize)
	switch c.Input {
	case lm.Tokens:
		return 6 * i, 2 * i
	case lm.Latents:
		return 4*z*d + 2*mean, 2*z*d + 2*mean
	}
	return 6*i + 4*z*d + 2*mean, 2*i + 2*z*d + 2*mean
}

// network is the head's: H1 of a hidden state, H2 of a time of it, H3 of a vector at it, and B, the part of H2 + H3 whose
// input needs no gradient.
func network(c lm.Config) (h1, h2, h3, b float64) {
	d, z := float64(c.HiddenSize), float64(c.LatentSize)
	var h, o float64
	switch options := c.Options.(type) {
	case head.EnergyOptions:
		h, s := float64(options.NumMLPLayers), float64(options.NoiseSize)
		return (1 + h) * d * d, 0, s*d + (5*h+1)*d*d + d*z, s * d
	case head.DiffusionOptions:
		h, o = float64(options.NumMLPLayers), 2 // noise and variance
	case head.FlowOptions:
		h, o = float64(options.NumMLPLayers), 1 // velocities
	}
	return d * d, 256*d + (3*h+3)*d*d, 2*h*d*d + (1+o)*d*z, (256 + z) * d
}

// evaluations is E: how often the network is evaluated for a sample.
func evaluations(c lm.Config) float64 {
	or := func(steps, paper int) float64 {
		if steps == 0 {
			steps = paper
		}
		return float64(steps)
	}
	switch o := c.Options.(type) {
	case head.DiffusionOptions:
		return or(o.SamplingSteps, 100)
	case head.FlowOptions:
		if o.Solver == "midpoint" {
			return 2 * or(o.SamplingSteps, 10)
		}
		return or(o.SamplingSteps, 10)
	}
	return 1
}

// scoring is what the head takes in training, with N samples.
func scoring(c lm.Config) (training float64) {
	h1, h2, h3, b := network(c)
	n := float64(c.NumSamples)
	return 6*(h1+n*(h2+h3)) - 2*n*b
}

// drawing is what the head takes for that many draws from one hidden state: conditions of m evaluations at a time.
func drawing(c lm.Config, draws float64) (written float64) {
	h1, h2, h3, _ := network(c)
	e := evaluations(c)
	m := math.Ceil(e / math.Ceil(e/256))
	return 2 * (math.Ceil(e/m)*(h1+m*h2) + draws*e*h3)
}

// tokenLoss is what the auxiliary token loss takes while it is on.
func tokenLoss(c lm.Config) (training float64) {
	if c.TokenLossWeight == 0 {
		return 0
	}
	return 6 * float64(c.PatchSize*c.VocabSize*c.HiddenSize)
}
