// Package head holds the generative heads of calm's language model: networks that turn the backbone's hidden state and
// noise into a sample of the next patch's latent vector.
//
// Three heads implement Head, chosen by Config.ModelType: Energy draws a sample in one pass, Diffusion and Flow refine
// noise in many (paper section 4, SPEC section 3). Those two share a network (adaln.go); their schedule and solvers are
// packages of their own.
//
// Shapes: P positions, N samples a position, M target samples, D hidden size, Z latent size, S noise size. What has
// several samples a position is sample-major: row n*P + p is sample n of position p.
package head

import (
	"fmt"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// Values of Config.ModelType.
const (
	EnergyType    = "energy"
	DiffusionType = "diffusion"
	FlowType      = "flow"
)

// Head is what a language model needs of a head.
type Head interface {
	// Loss adds the training loss to g: hidden [.., D] of P rows; the posteriors of the targets, mean, logStd [P, Z];
	// weight [P], 0 where a position does not count; that many samples (energy) or targets a position.
	Loss(g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *Loss
	// NewSampler compiles the drawing of that many samples for each of that many rows at a time. It reads the
	// parameters at each draw, so they may go on learning.
	NewSampler(e *cpu.Engine, rows, draws int) Sampler
	// NoiseSize returns how many random numbers one draw for one row takes: S, or Z, or Z for each step of a diffusion.
	NoiseSize() int
	// Drawing describes what a sampler of that many rows and draws runs at each call, for counting.
	Drawing(rows, draws int) []flops.Part
}

// Loss is the head's part of a graph that scores it. Nothing in it is marked as output.
type Loss struct {
	Loss    *nn.Tensor   // []
	Figures []Figure     // the loss, and what it is the sum of if that is of interest, under their names in metrics
	Terms   []*nn.Tensor // what it is the mean of: energy: distances x, y [P]; diffusion: mse, bound [N, P]; flow: [N, P]

	Noise     *nn.Tensor // random: energy [N, P, S]; else [N, P, Z], the noise in Input
	TargetEps *nn.Tensor // random: energy [M, P, Z], else [N, P, Z]
	Times     *nn.Tensor // random [N, P]: diffusion: steps from 0 to 999; flow: in [0, 1); energy: nil

	Input       *nn.Tensor // of the network, the noisy targets [N, P, Z]; energy: nil
	Predictions *nn.Tensor // of the network: energy: samples, flow: velocities [N, P, Z]; diffusion: noise and variance [N, P, 2Z]
	Samples     *nn.Tensor // Predictions where they are samples, else nil
}

// Figure is one scalar of a graph, under a name.
type Figure struct {
	Name  string
	Value *nn.Tensor
}

// Sampler draws latent vectors. It does not allocate. It is not safe for concurrent use, nor beside another program of
// its engine.
type Sampler interface {
	// FillNoise writes the noise of draws number first and following of a stream: [n, R, Head.NoiseSize] of R rows. A draw's
	// noise does not depend on how many are filled at once.
	FillNoise(dst []float32, stream random.Stream, first int)
	// Sample gives n latent vectors for each of R rows, [n, R, Z], in memory that changes with the next call, from
	// hidden [R, D] and noise [n, R, Head.NoiseSize]. If some diverge, the error is a *DivergedError that says which;
	// these are 0, and the others are as they would be without them.
	Sample(hidden, noise []float32) ([]float32, error)
}

// New declares the parameters of a valid configuration in ps, by the reference's names, and returns the head. std is the
// standard deviation of first weights where the reference draws them from a normal distribution.
func New(c Config, hidden, latent int, std float64, ps *nn.Params) Head {
	switch c.ModelType {
	case DiffusionType:
		return NewDiffusion(c, hidden, latent, ps)
	case FlowType:
		return NewFlow(c, hidden, latent, ps)
	}
	return NewEnergy(c, hidden, latent, std, ps)
}

// DivergedError says which draws of a sampler ended in infinities, in no numbers at all, or so far from where latent
// vectors lie that decoding would make noise of them.
type DivergedError struct {
	Head  string // Config.ModelType
	Steps int    // evaluations of the network that a draw takes
	Draws []bool // [n, R]: those that diverged
}

// Error says how many draws of how many diverged, and what to do.
func (e *DivergedError) Error() string {
	n := 0
	for _, diverged := range e.Draws {
		if diverged {
			n++
		}
	}
	if e.Head == EnergyType {
		return fmt.Sprintf("%d of %d samples of the energy head are not finite: the weights have diverged or are damaged; go back to an earlier checkpoint", n, len(e.Draws))
	}
	return fmt.Sprintf("%d of %d samples of the %s head diverged: after %d evaluations of the network they are not within ±%d; "+
		"train the model longer, take more sampling_steps, or go back to an earlier checkpoint", n, len(e.Draws), e.Head, e.Steps, farthest)
}

// farthest is how far from 0 a sampler of many steps may end. The autoencoder draws latent vectors towards N(0, 1), and
// the schedule of the noise is made for that; a young diffusion head ends in the thousands.
const farthest = 100

// settle returns latents of rows of Z numbers; what is farther from 0 than limit, or no number, becomes a row of zeros, and
// part of a *DivergedError.
func settle(latents []float32, z int, limit float32, kind string, steps int) ([]float32, error) {
	if within(latents, limit) {
		return latents, nil
	}
	diverged := make([]bool, len(latents)/z)
	for i := range diverged {
		if row := latents[i*z : (i+1)*z]; !within(row, limit) {
			diverged[i] = true
			clear(row)
		}
	}
	return latents, &DivergedError{Head: kind, Steps: steps, Draws: diverged}
}

// within reports whether no value is farther from 0 than limit, or no number.
func within(values []float32, limit float32) bool {
	for _, v := range values {
		if !(v >= -limit && v <= limit) {
			return false
		}
	}
	return true
}
