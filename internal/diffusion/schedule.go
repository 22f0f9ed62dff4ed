// Package diffusion is the noise schedule of the diffusion head and a step back along it: the cosine schedule of
// Improved DDPM (arXiv 2102.09672) with learned-range variances, respaced to any number of steps (docs/spec.md, section 3.2).
// It knows no network.
package diffusion

import (
	"fmt"
	"math"
	"math/big"
	"sync"
)

// Steps is the number of steps that noise is added in, in training.
const Steps = 1000

// Schedule is a number of steps from text (0) to noise, and what is derived from how much noise each adds. All tables
// are by step, in float64.
type Schedule struct {
	Timesteps     []int // what the network calls the steps: those of Steps that are kept, ascending
	Betas         []float64
	AlphasCumprod []float64

	SqrtAlphasCumprod, SqrtOneMinusAlphasCumprod     []float64 // x_t = the first * x_0 + the second * noise
	SqrtRecipAlphasCumprod, SqrtRecipM1AlphasCumprod []float64 // x_0 = the first * x_t - the second * noise
	PosteriorMeanCoef1, PosteriorMeanCoef2           []float64 // mean of x_{t-1} = the first * x_0 + the second * x_t
	// PosteriorLogVarianceClipped is of x_{t-1} given x_t and x_0; step 0, where it is no variance, has that of step 1.
	PosteriorLogVarianceClipped []float64
}

// Training returns the schedule of training, which the caller must not change.
var Training = sync.OnceValue(training)

func training() *Schedule {
	betas, timesteps := make([]float64, Steps), make([]int, Steps)
	kept := func(t float64) float64 {
		c := cosine((t + .008) / 1.008 * math.Pi / 2)
		return c * c
	}
	for i := range betas {
		betas[i] = min(1-kept(float64(i+1)/Steps)/kept(float64(i)/Steps), .999)
		timesteps[i] = i
	}
	return derive(betas, timesteps)
}

// cosine is the cosine rounded once: 1 minus a quotient of two that are nearly alike turns the last bit of math.Cos into
// a part in 10^12, and the reference's cosine is right to the last bit.
func cosine(x float64) float64 {
	const precision, terms = 128, 24 // for x up to pi/2
	number := func(v float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(v) }
	square, term, sum := number(x), number(1), number(1)
	square.Mul(square, square)
	for k := 1; k <= terms; k++ {
		term.Mul(term, square).Quo(term, number(-float64((2*k-1)*2*k)))
		sum.Add(sum, term)
	}
	y, _ := sum.Float64()
	return y
}

// Respaced returns the schedule of n steps, 2 to Steps, that are evenly spread over those of training, the first and
// the last included: step i is i*999/(n-1), rounded half to even. The quotient is summed up as the reference does it,
// which for one n in four makes of a half something else, once or a few times.
func Respaced(n int) *Schedule {
	if n < 2 || n > Steps {
		panic(fmt.Sprintf("diffusion: %d steps are not 2 to %d", n, Steps))
	}
	all := Training()
	betas, timesteps := make([]float64, n), make([]int, n)
	at, stride, last := 0., float64(Steps-1)/float64(n-1), 1.
	for i := range betas {
		timesteps[i] = int(math.RoundToEven(at))
		at += stride
		kept := all.AlphasCumprod[timesteps[i]]
		betas[i] = 1 - kept/last
		last = kept
	}
	return derive(betas, timesteps)
}

func derive(betas []float64, timesteps []int) *Schedule {
	n := len(betas)
	s := &Schedule{Timesteps: timesteps, Betas: betas}
	tables := []*[]float64{&s.AlphasCumprod, &s.SqrtAlphasCumprod, &s.SqrtOneMinusAlphasCumprod, &s.SqrtRecipAlphasCumprod,
		&s.SqrtRecipM1AlphasCumprod, &s.PosteriorMeanCoef1, &s.PosteriorMeanCoef2, &s.PosteriorLogVarianceClipped}
	for _, t := range tables {
		*t = make([]float64, n)
	}
	before := 1. // alphas_cumprod of the step before
	for i, beta := range betas {
		c := before * (1 - beta)
		s.AlphasCumprod[i] = c
		s.SqrtAlphasCumprod[i], s.SqrtOneMinusAlphasCumprod[i] = math.Sqrt(c), math.Sqrt(1-c)
		s.SqrtRecipAlphasCumprod[i], s.SqrtRecipM1AlphasCumprod[i] = math.Sqrt(1/c), math.Sqrt(1/c-1)
		s.PosteriorMeanCoef1[i] = beta * math.Sqrt(before) / (1 - c)
		s.PosteriorMeanCoef2[i] = (1 - before) * math.Sqrt(1-beta) / (1 - c)
		s.PosteriorLogVarianceClipped[i] = math.Log(beta * (1 - before) / (1 - c))
		before = c
	}
	s.PosteriorLogVarianceClipped[0] = s.PosteriorLogVarianceClipped[1]
	return s
}

// Step makes step i back in place: x [Z] becomes x_{t-1}, from what the network said of it, predicted [2Z]: noise, and
// where between its bounds the logarithm of the variance lies. noise [Z] is standard normal, and unused at step 0.
func (s *Schedule) Step(i int, x, predicted, noise []float32) {
	z := len(x)
	least, span := s.PosteriorLogVarianceClipped[i], math.Log(s.Betas[i])-s.PosteriorLogVarianceClipped[i]
	for k := range x {
		start := s.SqrtRecipAlphasCumprod[i]*float64(x[k]) - s.SqrtRecipM1AlphasCumprod[i]*float64(predicted[k])
		next := s.PosteriorMeanCoef1[i]*start + s.PosteriorMeanCoef2[i]*float64(x[k])
		if i > 0 {
			f := (float64(predicted[z+k]) + 1) / 2
			next += math.Exp(.5*(least+f*span)) * float64(noise[k])
		}
		x[k] = float32(next)
	}
}
