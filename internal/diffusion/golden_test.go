package diffusion_test

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/diffusion"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// tables are a schedule's, by the names of the golden cases.
func tables(s *diffusion.Schedule) map[string][]float64 {
	return map[string][]float64{
		"betas": s.Betas, "alphas_cumprod": s.AlphasCumprod, "sqrt_alphas_cumprod": s.SqrtAlphasCumprod,
		"sqrt_one_minus_alphas_cumprod": s.SqrtOneMinusAlphasCumprod, "sqrt_recip_alphas_cumprod": s.SqrtRecipAlphasCumprod,
		"sqrt_recipm1_alphas_cumprod": s.SqrtRecipM1AlphasCumprod, "posterior_mean_coef1": s.PosteriorMeanCoef1,
		"posterior_mean_coef2": s.PosteriorMeanCoef2, "posterior_log_variance_clipped": s.PosteriorLogVarianceClipped,
	}
}

// TestGoldenSchedule compares every table of every schedule, and the sinusoids of times.
func TestGoldenSchedule(t *testing.T) {
	for _, c := range testkit.Golden(t, "schedule") {
		compared := 0
		for _, name := range c.Names("out.") {
			schedule, table, _ := strings.Cut(strings.TrimPrefix(name, "out."), ".")
			if schedule == "sinusoid" {
				continue
			}
			s := diffusion.Training()
			if count, ok := strings.CutPrefix(schedule, "spaced"); ok {
				n, err := strconv.Atoi(count)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				s = diffusion.Respaced(n)
			}
			if compared++; table == "timestep_map" {
				var steps []int32
				for _, v := range s.Timesteps {
					steps = append(steps, int32(v))
				}
				testkit.CompareInts(t, name, steps, c.Ints(t, name))
				continue
			}
			compare(t, name, tables(s)[table], c.Float64s(t, name))
		}
		if compared == 0 {
			t.Errorf("%s: nothing was compared", c.Name)
		}
		testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) { goldenSinusoid(t, c, e) })
	}
}

func compare(t *testing.T, name string, got, want []float64) {
	if len(got) != len(want) {
		t.Errorf("%s has %d values, want %d", name, len(got), len(want))
		return
	}
	scale := 0.
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for i, w := range want {
		if !(math.Abs(got[i]-w) <= 1e-12*scale) {
			t.Errorf("%s at [%d]: got %v, want %v", name, i, got[i], w)
			return
		}
	}
}

func goldenSinusoid(t *testing.T, c testkit.Case, e *cpu.Engine) {
	shape := c.Shape(t, "out.sinusoid")
	g := nn.NewGraph()
	in := g.Floats("t", shape[0])
	y := g.SinusoidalEmbedding(in, 1, shape[1])
	g.Output(y)
	p := e.Compile(g, cpu.Inference)
	for i, v := range c.Ints(t, "in.sinusoid.t") {
		p.Floats(in)[i] = float32(v)
	}
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	testkit.Compare(t, "out.sinusoid", p.Floats(y), c.Floats(t, "out.sinusoid"), 1e-4)
}
