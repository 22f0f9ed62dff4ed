// Package head holds the generative heads of calm's language model: networks that turn the backbone's hidden state and
// noise into a sample of the next patch's latent vector.
//
// Each kind of head describes itself with a [Kind] value, and its instances implement [Head]: the energy head draws a
// sample in one pass, the diffusion and the flow head refine noise in several (docs/spec.md, section 3). Those two
// share a network (adaln.go); their schedule and solvers are packages of their own.
//
// # How to add a head
//
// One file, and one line in the table builtin of kind.go. From another module: the same file, and [Register] instead of
// the line, called by main. The file has
//
//  1. a struct of the head's own keys, with JSON names, and its Validate, which bounds each number (see package config);
//  2. a function that declares the parameters by names with one prefix (package nn/layer has linear layers and norms);
//  3. Loss, which adds the training loss to a graph (package nn has the operations);
//  4. a sampler: NewSampler compiles the graph of a draw, FillNoise and Sample run it; end Sample with [Settle];
//  5. Drawing, which describes the graphs that a draw runs, for counting;
//  6. the Kind value with the names, metrics and limits of all this.
//
// Then run the suite of package headtest on it: it checks gradients, noise, draws, metrics, cost, configuration and
// resuming. The Example of this package is a complete head from another module.
//
// Shapes: P positions, R rows (positions that are drawn for), N samples a position, n draws a row, M target samples, D
// hidden size, Z latent size, S noise size. Tensors with several samples a position are sample-major: row n*P + p is
// sample n of position p.
package head

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// Names of calm's kinds, the values of Config.ModelType, with their sections of docs/spec.md.
const (
	EnergyType    = "energy"    // section 3.1
	DiffusionType = "diffusion" // section 3.2
	FlowType      = "flow"      // section 3.3
)

// Head is an instance of a kind: its parameters, and what a language model needs of it.
type Head interface {
	// Loss adds the training loss to g. hidden is [.., D] of P rows. mean and logStd, [P, Z], are the posteriors of the
	// targets. weight, [P], is 0 where a position does not count. samples is the number of samples or targets a
	// position: num_samples in training.
	Loss(g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *Loss
	// NewSampler compiles a sampler that makes that many draws for each of that many rows at a time. It reads the
	// parameters at each draw, so training may continue. With an engine for as many streams as rows (cpu.Engine.ForStreams)
	// each row's draws are bit for bit those of a sampler of this row alone.
	NewSampler(e *cpu.Engine, rows, draws int) Sampler
	// NoiseSize returns how many random numbers one draw for one row takes, 0 or more. calm's heads take S (energy), Z
	// (flow) or Z for each step (diffusion).
	NoiseSize() int
	// Steps returns the number of steps of a draw: 1 for a draw in one pass.
	Steps() int
	// Drawing describes what a sampler of that many rows and draws runs at each call, for counting. Every part is named
	// "head".
	Drawing(rows, draws int) []flops.Part
}

// Loss is the head's part of a graph that scores it. Nothing in it is marked as output. Loss and Metrics are always set,
// Samples where the kind scores samples; the others are for tests, which feed and compare them.
type Loss struct {
	Loss    *nn.Tensor   // []
	Metrics []Scalar     // those of Kind.Metrics, in their order
	Samples *nn.Tensor   // [N, P, Z] where the loss is made of samples, else nil
	Terms   []*nn.Tensor // the terms that Loss averages: energy: distances x, y [P]; diffusion: mse, bound [N, P]; flow: [N, P]

	Noise     *nn.Tensor // random: energy [N, P, S]; else [N, P, Z], the noise in Input
	TargetEps *nn.Tensor // random: energy [M, P, Z], else [N, P, Z]
	Times     *nn.Tensor // random [N, P]: diffusion: steps from 0 to 999; flow: in [0, 1); energy: nil

	Input       *nn.Tensor // of the network, the noisy targets [N, P, Z]; energy: nil
	Predictions *nn.Tensor // of the network: energy: samples, flow: velocities [N, P, Z]; diffusion: noise and variance [N, P, 2Z]
}

// Scalar is a scalar of a graph, under a name.
type Scalar struct {
	Name  string     // one of Kind.Metrics
	Value *nn.Tensor // []
}

// Sampler draws latent vectors. Drawing does not allocate. It is not safe for concurrent use: one program of an engine
// runs at a time.
type Sampler interface {
	// FillNoise writes the noise of one row's draws number first and following of a stream: [.., Head.NoiseSize], as many as
	// dst holds. A draw's noise depends on the stream and the draw's number alone, not on the sampler's rows and draws. Rows
	// that share a stream take turns: to fill [n, R, Head.NoiseSize] with draw i of each row, begin at number i*R.
	FillNoise(dst []float32, stream random.Stream, first int)
	// Sample gives n latent vectors for each of R rows, [n, R, Z], in memory that changes with the next call, from
	// hidden [R, D] and noise [n, R, Head.NoiseSize]: draw i of row r has the noise number i*R + r. If some diverge, the error
	// is a *DivergedError that says which; these are 0, and the others are as they would be without them.
	Sample(hidden, noise []float32) ([]float32, error)
}

// New declares the parameters of a valid configuration in ps, and returns the head: hidden size D, latent size Z. std is the
// standard deviation of initial weights where the reference draws them from a normal distribution.
func New(c Config, hidden, latent int, std float64, ps *nn.Params) Head {
	k, ok := Lookup(c.ModelType)
	if !ok {
		panic(fmt.Sprintf("head: no kind %q: the configuration was not validated", c.ModelType))
	}
	return k.New(c.Options, hidden, latent, std, ps)
}

// DivergedError says which draws of a sampler diverged: they are infinite, NaN, or so far from 0 that they would decode
// to noise.
type DivergedError struct {
	Head  string  // Kind.Name
	Steps int     // evaluations of the network that a draw takes
	Limit float32 // how far from 0 a draw may end
	Draws []bool  // [n, R]: those that diverged
}

// Error says how many draws of how many diverged, and what to do.
func (e *DivergedError) Error() string {
	n := 0
	for _, diverged := range e.Draws {
		if diverged {
			n++
		}
	}
	if e.Limit >= Finite {
		return fmt.Sprintf("%d of %d samples of the %s head are not finite: the weights have diverged or are damaged; go back to an earlier checkpoint", n, len(e.Draws), e.Head)
	}
	steps := ""
	if k, ok := Lookup(e.Head); ok && k.TakesSteps() {
		steps = "take more " + SamplingSteps + ", "
	}
	return fmt.Sprintf("%d of %d samples of the %s head diverged: after %d evaluations of the network they are not within ±%g; "+
		"train the model longer, %sor go back to an earlier checkpoint", n, len(e.Draws), e.Head, e.Steps, e.Limit, steps)
}

// Limits for Settle.
const (
	// Finite accepts every finite number. It is for heads that draw in one pass.
	Finite = math.MaxFloat32
	// Far is the limit for samplers of many steps. The autoencoder's KL loss keeps latent vectors near N(0, 1), and the
	// noise schedule is made for that. The draws of a poorly trained diffusion head end in the thousands.
	Far = 100
)

// Settle ends a draw: it checks latents, rows of z numbers, and returns them. A row diverged if a number in it is NaN
// or farther from 0 than limit. Such rows become zeros, and the error is a *DivergedError that lists them, with the
// head's kind and the number of evaluations of the network that a draw took.
func Settle(latents []float32, z int, limit float32, kind string, evaluations int) ([]float32, error) {
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
	return latents, &DivergedError{Head: kind, Steps: evaluations, Limit: limit, Draws: diverged}
}

// within reports whether no value is NaN or farther from 0 than limit.
func within(values []float32, limit float32) bool {
	for _, v := range values {
		if !(v >= -limit && v <= limit) {
			return false
		}
	}
	return true
}
