package head

import (
	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/head/flow"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// Flow is the flow head (SPEC section 3.3): a network that says at each time which way leads from noise to a sample,
// trained on straight ways, and a solver that goes it.
type Flow struct {
	Config Config
	net    *adaLN
}

// flowTimes is what the network's time embedding calls the time 1.
const flowTimes = 1000

// NewFlow declares the head's parameters in ps.
func NewFlow(c Config, hidden, latent int, ps *nn.Params) *Flow {
	return &Flow{c, newAdaLN(c.NumMLPLayers, hidden, latent, latent, flowTimes, ps)}
}

// Loss adds the squared error of velocities to g, see Head.
func (h *Flow) Loss(g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *Loss {
	l := &Loss{}
	input := l.noisyTargets(g, mean, logStd, samples, nn.Uniform(0, 1), nil, nil)
	l.Predictions = h.net.apply(g, input.Y, h.net.conditions(g, hidden, l.Times))
	loss := g.FlowLoss(l.Predictions, input.Target, l.Noise, weight)
	l.Loss, l.Terms = loss.Loss, []*nn.Tensor{loss.Terms}
	l.Figures = []Figure{{"flow_loss", loss.Loss}}
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

// NewSampler compiles a sampler of Config.Steps steps, see Head.
func (h *Flow) NewSampler(e *cpu.Engine, rows, draws int) Sampler {
	solver := flow.Solver(h.Config.Solver)
	d := newDenoiser(e, FlowType, h.net, rows, draws, solver.Times(h.Config.Steps()))
	return &flowSampler{denoiser: d, engine: e, solver: solver, steps: h.Config.Steps(), middle: make([]float32, len(d.latents))}
}

// Drawing describes the solver's evaluations of the network, see Head.
func (h *Flow) Drawing(rows, draws int) []flops.Part {
	n := len(flow.Solver(h.Config.Solver).Times(h.Config.Steps()))
	return h.net.denoising(rows, draws, n).parts(n)
}

// flowSampler solves from noise of Z normal numbers a draw.
type flowSampler struct {
	*denoiser
	engine *cpu.Engine
	solver flow.Solver
	steps  int
	middle []float32 // [n, R, Z]
}

func (s *flowSampler) FillNoise(dst []float32, stream random.Stream, first int) {
	s.fillNormal(s.engine, dst, stream, first, s.net.latent)
}

func (s *flowSampler) Sample(hidden, noise []float32) ([]float32, error) {
	if err := s.solve(hidden, noise); err != nil {
		return nil, err
	}
	return s.finish()
}

// solve moves the latent vectors from noise to the end.
func (s *flowSampler) solve(hidden, noise []float32) error {
	s.start(hidden)
	copy(s.latents, noise)
	return s.solver.Solve(s.steps, s.latents, s.middle, s.evaluateAt)
}
