// Package diffusion has the noise schedule of the diffusion head and its reverse step: the cosine schedule of Improved
// DDPM (arXiv 2102.09672) with learned-range variances, respaced to any number of steps (docs/spec.md, section 3.2). It
// does not depend on the network.
package diffusion

import (
	"fmt"
	"math"
	"math/big"
	"sync"
)

// Steps is the number of noise steps in training.
const Steps = 1000

// Schedule has the steps from the latent vector (step 0) to noise, and tables derived from the noise that each step
// adds. Tables are indexed by step.
type Schedule struct {
	Timesteps     []int     // the training steps that are kept, ascending: the times that the network gets
	Betas         []float64 // variance of the noise that each step adds
	AlphasCumprod []float64 // product of 1 - beta up to each step

	SqrtAlphasCumprod, SqrtOneMinusAlphasCumprod     []float64 // x_t = the first * x_0 + the second * noise
	SqrtRecipAlphasCumprod, SqrtRecipM1AlphasCumprod []float64 // x_0 = the first * x_t - the second * noise
	PosteriorMeanCoef1, PosteriorMeanCoef2           []float64 // mean of x_{t-1} = the first * x_0 + the second * x_t
	// PosteriorLogVarianceClipped is the log variance of x_{t-1} given x_t and x_0. At step 0 that variance is 0, and
	// the table has the value of step 1.
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

// cosine returns the correctly rounded cosine, as the reference's is. A beta is 1 minus the quotient of two nearly
// equal cosines, so an error in the last bit of math.Cos would become a relative error of 1e-12.
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
// the last included: step i is i*999/(n-1), rounded half to even. As in the reference, the quotient is computed by
// repeated addition. For one n in four, its rounding errors change how one or a few halves are rounded.
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

// Step makes reverse step i in place: x [Z] becomes x_{t-1}. predicted [2Z] is the network's output for x: the noise,
// then v, which interpolates the log variance between its bounds (docs/spec.md, section 3.2). noise [Z] is standard
// normal, and unused at step 0.
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
