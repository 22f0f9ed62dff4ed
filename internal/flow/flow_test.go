package flow_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/calm-go/calm/internal/flow"
)

// solve integrates dx/dt = f(x, t) from x0 in float32, as a sampler does.
func solve(s flow.Solver, steps int, x0 float64, f func(x, t float64) float64) float64 {
	times := s.Times(steps)
	x, v := []float32{float32(x0)}, make([]float32, 1)
	err := s.Solve(steps, x, make([]float32, 1), func(k int, x []float32) ([]float32, error) {
		v[0] = float32(f(float64(x[0]), float64(times[k])))
		return v, nil
	})
	if err != nil {
		panic(err)
	}
	return float64(x[0])
}

// fields are equations with known solutions at t = 1.
var fields = map[string]struct {
	x0, want float64
	f        func(x, t float64) float64
}{
	"x":       {1, math.E, func(x, _ float64) float64 { return x }},
	"-3x":     {2, 2 * math.Exp(-3), func(x, _ float64) float64 { return -3 * x }},
	"x cos t": {1.5, 1.5 * math.Exp(math.Sin(1)), func(x, t float64) float64 { return x * math.Cos(t) }},
	"x^2":     {.5, 1, func(x, _ float64) float64 { return x * x }},
}

// TestOrderOfConvergence: halving the step halves Euler's error and quarters the midpoint rule's.
func TestOrderOfConvergence(t *testing.T) {
	for name, c := range fields {
		for solver, order := range map[flow.Solver]float64{flow.Euler: 1, flow.Midpoint: 2} {
			const steps = 32
			coarse, fine := math.Abs(solve(solver, steps, c.x0, c.f)-c.want), math.Abs(solve(solver, 2*steps, c.x0, c.f)-c.want)
			if got := math.Log2(coarse / fine); math.Abs(got-order) > .15 {
				t.Errorf("%s by %s: errors %.3g and %.3g are of order %.2f, want %v", name, solver, coarse, fine, got, order)
			}
		}
	}
}

// TestStraightPaths: a velocity that does not depend on x is integrated exactly in one step if it is constant, and by
// the midpoint rule if it is linear in time.
func TestStraightPaths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.IntRange(1, 50).Draw(t, "steps")
		x0, v := rapid.Float64Range(-3, 3).Draw(t, "x0"), rapid.Float64Range(-3, 3).Draw(t, "v")
		constant := func(float64, float64) float64 { return v }
		linear := func(_, t float64) float64 { return 2 * v * t }
		for name, got := range map[string]float64{
			"euler": solve(flow.Euler, steps, x0, constant), "midpoint": solve(flow.Midpoint, steps, x0, constant),
			"midpoint, linear": solve(flow.Midpoint, steps, x0, linear),
		} {
			if math.Abs(got-x0-v) > 1e-5 {
				t.Errorf("%s ends at %v, want %v", name, got, x0+v)
			}
		}
	})
}

func TestTimes(t *testing.T) {
	for steps := 1; steps <= 300; steps++ {
		euler, midpoint := flow.Euler.Times(steps), flow.Midpoint.Times(steps)
		if len(euler) != steps || len(midpoint) != 2*steps {
			t.Fatalf("%d steps have %d and %d evaluations", steps, len(euler), len(midpoint))
		}
		for i, v := range midpoint {
			if want := float64(i) / float64(2*steps); math.Abs(float64(v)-want) > 1e-7 || v >= 1 {
				t.Errorf("time %d of %d steps is %v, want %v", i, steps, v, want)
			}
			if i%2 == 0 && v != euler[i/2] {
				t.Errorf("the solvers differ in time %d of %d steps", i/2, steps)
			}
		}
	}
}

func TestSolveStopsAtErrors(t *testing.T) {
	bad := errors.New("bad")
	for _, at := range []int{0, 1, 2, 5} {
		calls := 0
		err := flow.Midpoint.Solve(3, make([]float32, 2), make([]float32, 2), func(k int, x []float32) ([]float32, error) {
			if calls++; k == at {
				return nil, bad
			}
			return x, nil
		})
		if !errors.Is(err, bad) || calls != at+1 {
			t.Errorf("failing at evaluation %d: %v after %d calls", at, err, calls)
		}
	}
}
