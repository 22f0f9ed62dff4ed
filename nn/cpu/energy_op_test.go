package cpu_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// energyPoints is one position: N samples and M targets of Z numbers.
type energyPoints struct{ x, y [][]float64 }

// crossing is N = 4 samples and M = 3 targets that lie delta apart or coincide: with samples, with targets, with both.
func crossing(delta float64) energyPoints {
	d := float64(float32(delta))
	return energyPoints{
		x: [][]float64{{d, 0, -d}, {0, 0, 0}, {0, 0, 0}, {1, .5, -1}},
		y: [][]float64{{0, 0, 0}, {0, d, d}, {1, .5, -1}},
	}
}

// distance is 0 where an engine may round it to 0.
func distance(a, b []float64) float64 {
	ss := 0.
	for z := range a {
		ss += (a[z] - b[z]) * (a[z] - b[z])
	}
	if ss < 0x1p-126 {
		return 0
	}
	return math.Sqrt(ss)
}

func (e energyPoints) score(beta float64) float64 {
	n, m, sum := float64(len(e.x)), float64(len(e.y)), 0.
	for i, x := range e.x {
		for _, y := range e.y {
			sum += 2 / (n * m) * math.Pow(distance(x, y), beta)
		}
		for k, other := range e.x {
			if k != i {
				sum -= math.Pow(distance(x, other), beta) / (n * (n - 1))
			}
		}
	}
	return sum
}

// gradient is the derivative by sample i, nothing where two points coincide.
func (e energyPoints) gradient(beta float64, i int) []float64 {
	n, m, x := float64(len(e.x)), float64(len(e.y)), e.x[i]
	g := make([]float64, len(x))
	pull := func(to []float64, weight float64) {
		if d := distance(x, to); d > 0 {
			for z := range g {
				g[z] += weight * beta * math.Pow(d, beta-2) * (x[z] - to[z])
			}
		}
	}
	for _, y := range e.y {
		pull(y, 2/(n*m))
	}
	for _, other := range e.x {
		pull(other, -2/(n*(n-1)))
	}
	return g
}

// checkDifferences compares gradient with central differences whose step fits the distances. Where points coincide the
// score is even, so that these give 0 too.
func (e energyPoints) checkDifferences(t *testing.T, beta, delta float64) {
	t.Helper()
	h := 1e-3 * delta
	for i, x := range e.x {
		for z, want := range e.gradient(beta, i) {
			kept := x[z]
			x[z] = kept + h
			up := e.score(beta)
			x[z] = kept - h
			down := e.score(beta)
			x[z] = kept
			if got := (up - down) / (2 * h); !(math.Abs(got-want) <= 1e-3*(1+math.Pow(delta, beta-1))) {
				t.Errorf("the definition's gradient of sample %d at [%d] is %g, differences say %g", i, z, want, got)
			}
		}
	}
}

func finiteGradient(t *testing.T, got []float32) {
	t.Helper()
	for i, v := range got {
		if v-v != 0 {
			t.Errorf("the gradient at %d is %v", i, v)
		}
	}
}

// TestEnergyScoreOfClosePoints: for beta < 1 the gradient grows without bound as points come closer, and is 0 where
// they coincide. (The reference's is NaN, from the distance of each sample to itself.) Every gradient here is finite,
// and right.
func TestEnergyScoreOfClosePoints(t *testing.T) {
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		eng := engine(t, isa, 1)
		for _, beta := range []float64{.01, .25, .5, .75, 1, 1.5, 2} {
			for _, delta := range []float64{.5, 1e-3, 1e-6, 1e-12, 1e-18, 1e-21, 1e-38, 0} {
				t.Run(fmt.Sprintf("beta=%g/%g", beta, delta), func(t *testing.T) {
					points := crossing(delta)
					if delta >= 1e-6 { // for smaller ones, rounding hides the differences of the score
						points.checkDifferences(t, beta, delta)
					}
					for _, weight := range []float32{1, 1e4} {
						got := energyGradient(t, eng, points, float32(beta), weight)
						if square := delta * delta; beta == 1 && square < 0x1p-126 && square > 0x1p-149 {
							finiteGradient(t, got) // square roots are taken of denormal numbers too, which have lost digits
							continue
						}
						compareSamples(t, points, beta, float64(weight), got)
					}
				})
			}
		}
	})
}

// energyGradient runs the operation: the gradient [N, Z] of weight times the score.
func energyGradient(t *testing.T, eng *cpu.Engine, e energyPoints, beta, weight float32) []float32 {
	t.Helper()
	n, m, z := len(e.x), len(e.y), len(e.x[0])
	g, ps := nn.NewGraph(), nn.NewParams()
	pred := ps.Matrix("pred", nn.Constant(0), n, z)
	for _, x := range e.x {
		pred.Data = append(pred.Data, narrow(x)...)
	}
	targets := g.Floats("targets", m, 1, z) // y = 0 + exp(0) * targets
	s := g.EnergyScore(g.Reshape(g.Param(pred), n, 1, z), g.Floats("mean", 1, z), g.Floats("log_std", 1, z), targets, nil, beta)
	g.Loss(s.Loss, weight)
	p := eng.Compile(g, cpu.Training)
	for i, y := range e.y {
		copy(p.Floats(targets)[i*z:], narrow(y))
	}
	once(t, p, true)
	if want := float64(weight) * e.score(float64(beta)); !(math.Abs(p.Loss()-want) <= 1e-5*float64(weight)) {
		t.Errorf("the score is %g, want %g", p.Loss(), want)
	}
	return p.Grad(pred)
}

// compareSamples compares with a tolerance relative to the largest term of a sample's gradient: terms of opposite sign
// cancel.
func compareSamples(t *testing.T, e energyPoints, beta, weight float64, got []float32) {
	t.Helper()
	scale := 0.
	for i := range e.x {
		for _, v := range e.gradient(beta, i) {
			scale = max(scale, math.Abs(weight*v))
		}
	}
	for i, x := range e.x {
		for z, want := range e.gradient(beta, i) {
			v := float64(got[i*len(x)+z])
			if math.IsNaN(v) || math.IsInf(v, 0) || !(math.Abs(v-weight*want) <= 1e-5*scale) {
				t.Errorf("the gradient of sample %d at [%d] is %g, want %g", i, z, v, weight*want)
			}
		}
	}
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}
