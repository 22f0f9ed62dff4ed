package head

import (
	"math"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/head/diffusion"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// Diffusion is the diffusion head (SPEC section 3.2): a network that predicts the noise in a noisy target, and the
// variance of the step back, trained at single steps; a sample takes many.
type Diffusion struct {
	Config Config
	net    *adaLN
}

// NewDiffusion declares the head's parameters in ps.
func NewDiffusion(c Config, hidden, latent int, ps *nn.Params) *Diffusion {
	return &Diffusion{c, newAdaLN(c.NumMLPLayers, hidden, latent, 2*latent, 1, ps)}
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
	l.Figures = []Figure{{"diffusion_loss", loss.Loss}, {"diffusion_mse", loss.MeanMSE}, {"diffusion_vb", loss.MeanBound}}
	return l
}

// NoiseSize returns Z for each step.
func (h *Diffusion) NoiseSize() int { return h.Config.Steps() * h.net.latent }

// NewSampler compiles a sampler of Config.Steps steps, see Head.
func (h *Diffusion) NewSampler(e *cpu.Engine, rows, draws int) Sampler {
	s := diffusion.Respaced(h.Config.Steps())
	var times []float32 // from noise to text
	for i := range s.Timesteps {
		times = append(times, float32(s.Timesteps[len(s.Timesteps)-1-i]))
	}
	return &diffusionSampler{denoiser: newDenoiser(e, DiffusionType, h.net, rows, draws, times), engine: e, schedule: s}
}

// Drawing describes Config.Steps evaluations of the network, see Head.
func (h *Diffusion) Drawing(rows, draws int) []flops.Part {
	n := h.Config.Steps()
	return h.net.denoising(rows, draws, n).parts(n)
}

// diffusionSampler steps back from noise. The noise of a draw is Z normal numbers to start from and Z for each step but
// the last, one after the other.
type diffusionSampler struct {
	*denoiser
	engine   *cpu.Engine
	schedule *diffusion.Schedule
}

func (s *diffusionSampler) FillNoise(dst []float32, stream random.Stream, first int) {
	s.fillNormal(s.engine, dst, stream, first, len(s.times)*s.net.latent)
}

func (s *diffusionSampler) Sample(hidden, noise []float32) ([]float32, error) {
	if err := s.solve(hidden, noise); err != nil {
		return nil, err
	}
	return s.finish()
}

// solve moves the latent vectors from noise to the end.
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
