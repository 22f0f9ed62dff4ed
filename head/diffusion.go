package head

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/internal/diffusion"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// diffusionKind describes the diffusion head, one of the paper's two alternatives to the energy head.
var diffusionKind = Kind{
	Name:    DiffusionType,
	Options: DiffusionOptions{NumMLPLayers: 4},
	Ignored: config.Ignored{"beta": "", "noise_size": "", "target_samples": "", "solver": ""}, // keys of older files, which have those of all heads
	New: func(o Options, hidden, latent int, _ float64, ps *nn.Params) Head {
		return NewDiffusion(o.(DiffusionOptions), hidden, latent, ps)
	},
	Prefix: netPrefix,
	Metrics: []Metric{
		{"diffusion_loss", "the sum of diffusion_mse and diffusion_vb"},
		{"diffusion_mse", "the mean squared error of the predicted noise"},
		{"diffusion_vb", "the variational bound, in bits a latent dimension"},
	},
	StopsGradient: true, // the bound does not train the predicted noise
	SamplingKeys:  []string{SamplingSteps},
	Reference:     Reference{Class: "DiffusionTransformer"},
}

// DiffusionOptions are the keys of the diffusion head.
type DiffusionOptions struct {
	NumMLPLayers  int `json:"num_mlp_layers"` // number of blocks, 1 to config.MaxLayers
	SamplingSteps int `json:"sampling_steps"` // reverse steps of a draw, 2 to 1000; 0 for the paper's 100
}

// Validate reports everything that is wrong, as a *config.Error.
func (o DiffusionOptions) Validate() error {
	var p config.Problems
	config.Within(&p, "num_mlp_layers", o.NumMLPLayers, 1, config.MaxLayers)
	n := o.SamplingSteps
	p.Check(n == 0 || n >= 2 && n <= diffusion.Steps, SamplingSteps, n, fmt.Sprintf("want 0 for the paper's 100, or 2 to %d", diffusion.Steps))
	return p.Err()
}

// Steps returns SamplingSteps, or the paper's 100.
func (o DiffusionOptions) Steps() int {
	if o.SamplingSteps > 0 {
		return o.SamplingSteps
	}
	return 100
}

// Diffusion is the diffusion head (docs/spec.md, section 3.2): a network predicts the noise in a noisy target, and the
// variance of the reverse step. Training takes one random step of each target; a sample takes many steps.
type Diffusion struct {
	Options DiffusionOptions // valid options
	net     *adaLN
}

// NewDiffusion declares the head's parameters in ps.
func NewDiffusion(o DiffusionOptions, hidden, latent int, ps *nn.Params) *Diffusion {
	return &Diffusion{o, newAdaLN(o.NumMLPLayers, hidden, latent, 2*latent, 1, ps)}
}

// Loss adds the squared error of the noise and the variational bound to g, see Head.
func (h *Diffusion) Loss(g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *Loss {
	l, s := &Loss{}, diffusion.Training()
	tables := nn.DiffusionTables{MinLog: s.PosteriorLogVarianceClipped}
	var signal, sigma []float32
	for i, beta := range s.Betas {
		tables.MaxLog = append(tables.MaxLog, math.Log(beta))
		tables.Coef = append(tables.Coef, s.PosteriorMeanCoef1[i]*s.SqrtRecipM1AlphasCumprod[i])
		signal = append(signal, float32(s.SqrtAlphasCumprod[i]))
		sigma = append(sigma, float32(s.SqrtOneMinusAlphasCumprod[i]))
	}
	input := l.noisyTargets(g, mean, logStd, samples, nn.Integers(diffusion.Steps), signal, sigma)
	l.Predictions = h.net.apply(g, input.Y, h.net.conditions(g, hidden, l.Times))
	loss := g.DiffusionLoss(l.Predictions, input.Target, l.Noise, l.Times, weight, tables)
	l.Loss, l.Terms = loss.Loss, []*nn.Tensor{loss.MSE, loss.Bound}
	l.Metrics = []Scalar{{"diffusion_loss", loss.Loss}, {"diffusion_mse", loss.MeanMSE}, {"diffusion_vb", loss.MeanBound}}
	return l
}

// NoiseSize returns Z for each step.
func (h *Diffusion) NoiseSize() int { return h.Steps() * h.net.latent }

// Steps returns the number of steps of a draw.
func (h *Diffusion) Steps() int { return h.Options.Steps() }

// NewSampler compiles a sampler of Steps steps, see Head.
func (h *Diffusion) NewSampler(e *cpu.Engine, rows, draws int) Sampler {
	s := diffusion.Respaced(h.Steps())
	var times []float32 // from noise to sample
	for i := range s.Timesteps {
		times = append(times, float32(s.Timesteps[len(s.Timesteps)-1-i]))
	}
	return &diffusionSampler{denoiser: newDenoiser(e, DiffusionType, h.net, rows, draws, times), engine: e, schedule: s}
}

// Drawing describes Steps evaluations of the network, see Head.
func (h *Diffusion) Drawing(rows, draws int) []flops.Part {
	n := h.Steps()
	return h.net.denoising(rows, 1, draws, n).parts(n)
}

// diffusionSampler goes from noise to a sample by reverse steps. The noise of a draw is Z normal numbers to start from,
// then Z for each step but the last.
type diffusionSampler struct {
	*denoiser
	engine   *cpu.Engine
	schedule *diffusion.Schedule
}

func (s *diffusionSampler) FillNoise(dst []float32, stream random.Stream, first int) {
	s.engine.Normal(dst, stream, first*len(s.times)*s.net.latent)
}

func (s *diffusionSampler) Sample(hidden, noise []float32) ([]float32, error) {
	if err := s.solve(hidden, noise); err != nil {
		return nil, err
	}
	return s.finish()
}

// solve sets the latent vectors to the noise and takes all reverse steps.
func (s *diffusionSampler) solve(hidden, noise []float32) error {
	s.start(hidden)
	z, size := s.net.latent, len(s.times)*s.net.latent
	rows := len(s.latents) / z // n*R
	for r := range rows {
		copy(s.latents[r*z:(r+1)*z], noise[r*size:])
	}
	for k := range s.times {
		predicted, err := s.evaluateAt(k, s.latents)
		if err != nil {
			return err
		}
		step := len(s.times) - 1 - k
		for r := range rows {
			own := noise[r*size : (r+1)*size]
			if step > 0 {
				own = own[(k+1)*z : (k+2)*z]
			}
			s.schedule.Step(step, s.latents[r*z:(r+1)*z], predicted[2*r*z:2*(r+1)*z], own)
		}
	}
	return nil
}
