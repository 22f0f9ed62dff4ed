package head

import (
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/internal/flow"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// flowKind describes the flow head, one of the paper's two alternatives to the energy head.
var flowKind = Kind{
	Name:    FlowType,
	Options: FlowOptions{NumMLPLayers: 4, Solver: string(flow.Midpoint), NoiseScale: 1},
	Ignored: config.Ignored{"beta": "", "noise_size": "", "target_samples": ""}, // keys of older files, which have those of all heads
	New: func(o Options, hidden, latent int, _ float64, ps *nn.Params) Head {
		return NewFlow(o.(FlowOptions), hidden, latent, ps)
	},
	Prefix:       netPrefix,
	Metrics:      []Metric{{"flow_loss", "the mean squared error of the predicted velocity"}},
	SamplingKeys: []string{SamplingSteps, "solver", "noise_scale"},
	Reference:    Reference{Class: "FlowTransformer"},
}

// FlowOptions are the keys of the flow head.
type FlowOptions struct {
	NumMLPLayers  int    `json:"num_mlp_layers"` // number of blocks, 1 to config.MaxLayers
	SamplingSteps int    `json:"sampling_steps"` // solver steps of a draw, 1 or more; 0 for the paper's 10
	Solver        string `json:"solver"`         // midpoint, of two evaluations a step, or euler, of one
	// NoiseScale multiplies the noise that a draw starts from; 1: as trained. Less makes draws more alike and moves them
	// towards what is likely; with 0 all draws at a position are equal (docs/temperature.md).
	NoiseScale float64 `json:"noise_scale"`
}

const (
	maxFlowSteps  = 1_000_000 // limits the time that a typing error can cost
	maxNoiseScale = 10        // far above 1, where draws leave what the network was trained on
)

// Validate reports everything that is wrong, as a *config.Error.
func (o FlowOptions) Validate() error {
	var p config.Problems
	config.Within(&p, "num_mlp_layers", o.NumMLPLayers, 1, config.MaxLayers)
	config.Within(&p, SamplingSteps, o.SamplingSteps, 0, maxFlowSteps)
	config.OneOf(&p, "solver", o.Solver, string(flow.Midpoint), string(flow.Euler))
	config.Within(&p, "noise_scale", o.NoiseScale, 0, maxNoiseScale)
	return p.Err()
}

// Steps returns SamplingSteps, or the paper's 10.
func (o FlowOptions) Steps() int {
	if o.SamplingSteps > 0 {
		return o.SamplingSteps
	}
	return 10
}

// Flow is the flow head (docs/spec.md, section 3.3): a network predicts the velocity on straight paths from noise to a
// sample; a solver integrates it.
type Flow struct {
	Options FlowOptions // valid options
	net     *adaLN
}

// flowTimes is the time of the network's embedding that corresponds to t = 1.
const flowTimes = 1000

// NewFlow declares the head's parameters in ps.
func NewFlow(o FlowOptions, hidden, latent int, ps *nn.Params) *Flow {
	return &Flow{o, newAdaLN(o.NumMLPLayers, hidden, latent, latent, flowTimes, ps)}
}

// Loss adds the squared error of velocities to g, see Head.
func (h *Flow) Loss(g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *Loss {
	l := &Loss{}
	input := l.noisyTargets(g, mean, logStd, samples, nn.Uniform(0, 1), nil, nil)
	l.Predictions = h.net.apply(g, input.Y, h.net.conditions(g, hidden, l.Times))
	loss := g.FlowLoss(l.Predictions, input.Target, l.Noise, weight)
	l.Loss, l.Terms = loss.Loss, []*nn.Tensor{loss.Terms}
	l.Metrics = []Scalar{{"flow_loss", loss.Loss}}
	return l
}

// noisyTargets adds targets, noise and times to g: N samples for each of P positions.
func (l *Loss) noisyTargets(g *nn.Graph, mean, logStd *nn.Tensor, samples int, times nn.Dist, signal, sigma []float32) *nn.NoisyTarget {
	positions, z := mean.Rows(), mean.Cols()
	l.TargetEps = g.Random("head.target_eps", nn.Normal(), samples, positions, z)
	l.Noise = g.Random("head.noise", nn.Normal(), samples, positions, z)
	l.Times = g.Random("head.times", times, samples, positions)
	noisy := g.NoisyTarget(mean, logStd, l.TargetEps, l.Noise, l.Times, signal, sigma)
	l.Input = noisy.Y
	return noisy
}

// NoiseSize returns Z.
func (h *Flow) NoiseSize() int { return h.net.latent }

// Steps returns the number of steps of a draw; a midpoint step evaluates the network twice.
func (h *Flow) Steps() int { return h.Options.Steps() }

// NewSampler compiles a sampler of Steps steps, see Head.
func (h *Flow) NewSampler(e *cpu.Engine, rows, draws int) Sampler {
	solver := flow.Solver(h.Options.Solver)
	d := newDenoiser(e, FlowType, h.net, rows, draws, solver.Times(h.Steps()))
	return &flowSampler{denoiser: d, engine: e, solver: solver, steps: h.Steps(), scale: float32(h.Options.NoiseScale),
		middle: make([]float32, len(d.latents))}
}

// Drawing describes the solver's evaluations of the network, see Head.
func (h *Flow) Drawing(rows, draws int) []flops.Part {
	n := len(flow.Solver(h.Options.Solver).Times(h.Steps()))
	return h.net.denoising(rows, 1, draws, n).parts(n)
}

// flowSampler integrates the velocity from noise to a sample. The noise of a draw is Z normal numbers.
type flowSampler struct {
	*denoiser
	engine *cpu.Engine
	solver flow.Solver
	steps  int
	scale  float32   // of the noise
	middle []float32 // [n, R, Z]
}

func (s *flowSampler) FillNoise(dst []float32, stream random.Stream, first int) {
	s.engine.Normal(dst, stream, first*s.net.latent)
}

func (s *flowSampler) Sample(hidden, noise []float32) ([]float32, error) {
	if err := s.solve(hidden, noise); err != nil {
		return nil, err
	}
	return s.finish()
}

// solve sets the latent vectors to the scaled noise and integrates to t = 1.
func (s *flowSampler) solve(hidden, noise []float32) error {
	s.start(hidden)
	for i, v := range noise {
		s.latents[i] = s.scale * v
	}
	return s.solver.Solve(s.steps, s.latents, s.middle, s.evaluateAt)
}
