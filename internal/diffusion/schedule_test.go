package diffusion_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/calm-go/calm/internal/diffusion"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance*math.Max(1, math.Abs(want))) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// TestClosedForms checks the tables of schedules of several lengths against their definitions.
func TestClosedForms(t *testing.T) {
	for _, s := range []*diffusion.Schedule{diffusion.Training(), diffusion.Respaced(2), diffusion.Respaced(7), diffusion.Respaced(100), diffusion.Respaced(1000)} {
		before := 1.
		for i, c := range s.AlphasCumprod {
			signal, noise := s.SqrtAlphasCumprod[i], s.SqrtOneMinusAlphasCumprod[i]
			near(t, "signal and noise together", signal*signal+noise*noise, 1, 1e-14)
			near(t, "the kept part", c, before*(1-s.Betas[i]), 1e-14)
			// x_0 from x_t and its noise, for x_0 = .7, noise = -1.3.
			x := signal*.7 + noise*-1.3
			near(t, "x_0", s.SqrtRecipAlphasCumprod[i]*x-s.SqrtRecipM1AlphasCumprod[i]*-1.3, .7, 1e-10)
			// A posterior of Gaussians: precisions add up, means are weighted by them.
			if i > 0 {
				prior, step := 1/(1-before), (1-s.Betas[i])/s.Betas[i]
				near(t, "precision", math.Exp(-s.PosteriorLogVarianceClipped[i])/(prior+step), 1, 1e-8)
				near(t, "weight of x_0", s.PosteriorMeanCoef1[i], prior*math.Sqrt(before)/(prior+step), 1e-10)
				near(t, "weight of x_t", s.PosteriorMeanCoef2[i], step/math.Sqrt(1-s.Betas[i])/(prior+step), 1e-10)
			}
			before = c
		}
		near(t, "weight of x_0 at 0", s.PosteriorMeanCoef1[0], 1, 1e-14)
		near(t, "weight of x_t at 0", s.PosteriorMeanCoef2[0], 0, 0)
	}
}

// TestRespacing: any number of steps keeps the first and the last, in order, each near its exact place, with the noise
// of training.
func TestRespacing(t *testing.T) {
	all := diffusion.Training()
	for n := 2; n <= diffusion.Steps; n++ {
		s := diffusion.Respaced(n)
		if len(s.Timesteps) != n || s.Timesteps[0] != 0 || s.Timesteps[n-1] != diffusion.Steps-1 {
			t.Fatalf("%d steps: %v", n, s.Timesteps)
		}
		for i, step := range s.Timesteps {
			if i > 0 && step <= s.Timesteps[i-1] {
				t.Fatalf("%d steps: %d after %d", n, step, s.Timesteps[i-1])
			}
			if exact := float64(i*(diffusion.Steps-1)) / float64(n-1); math.Abs(float64(step)-exact) > .5+1e-9 {
				t.Fatalf("step %d of %d is %d, want about %v", i, n, step, exact)
			}
			// The product of 1-beta is off by the rounding of beta, which the last step divides by its own.
			if c := all.AlphasCumprod[step]; math.Abs(s.AlphasCumprod[i]-c) > 1e-12*c+1e-15 {
				t.Fatalf("step %d of %d keeps %v, the training %v", i, n, s.AlphasCumprod[i], c)
			}
		}
	}
}

func TestCosineSchedule(t *testing.T) {
	s := diffusion.Training()
	for i, c := range s.AlphasCumprod[:990] { // beyond, betas are clipped
		want := math.Pow(math.Cos((float64(i+1)/1000+.008)/1.008*math.Pi/2)/math.Cos(.008/1.008*math.Pi/2), 2)
		near(t, "alphas_cumprod", c, want, 1e-12)
	}
	if s.Betas[999] != .999 {
		t.Errorf("the last beta is %v", s.Betas[999])
	}
}

// TestStepsToAPoint: with a network that always predicts the same target, reverse steps end there, from any start and
// in any number.
func TestStepsToAPoint(t *testing.T) {
	const target = -.6
	for _, n := range []int{2, 3, 10, 100, 1000} {
		s := diffusion.Respaced(n)
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		x := []float32{float32(rng.NormFloat64())}
		for i := n - 1; i >= 0; i-- {
			eps := (float64(x[0]) - s.SqrtAlphasCumprod[i]*target) / s.SqrtOneMinusAlphasCumprod[i]
			s.Step(i, x, []float32{float32(eps), 0}, []float32{float32(rng.NormFloat64())})
		}
		near(t, "the end", float64(x[0]), target, 1e-4)
	}
}

// TestStepOfANormal: if the data is N(0, 1), so is every x_t, and a reverse step of the largest variance is
// sqrt(1-beta) x + sqrt(beta) noise.
func TestStepOfANormal(t *testing.T) {
	for _, n := range []int{2, 10, 100, 1000} {
		s := diffusion.Respaced(n)
		for i := 1; i < n; i++ {
			const x, noise = .8, -1.7
			got := []float32{x}
			s.Step(i, got, []float32{float32(s.SqrtOneMinusAlphasCumprod[i] * x), 1}, []float32{noise})
			near(t, "a step", float64(got[0]), math.Sqrt(1-s.Betas[i])*x+math.Sqrt(s.Betas[i])*noise, 2e-3)
			// The network's numbers are float32, and the first reverse step multiplies their errors by hundreds.
		}
		got := []float32{.8}
		s.Step(0, got, []float32{0, 1}, nil)
		near(t, "the last step", float64(got[0]), .8/s.SqrtAlphasCumprod[0], 1e-6)
	}
}

func TestRespacedRefuses(t *testing.T) {
	for _, n := range []int{-1, 0, 1, diffusion.Steps + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d steps were accepted", n)
				}
			}()
			diffusion.Respaced(n)
		}()
	}
}
