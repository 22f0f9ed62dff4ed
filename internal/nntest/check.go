package nntest

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/calm-go/calm/nn"
)

// Check runs every case on an engine, as subtests: values against the definition, forward only and in training, and
// gradients against central differences of the definition. Cases of operations that the engine leaves out are skipped.
func Check(t *testing.T, run Run, without map[string]string) {
	for _, c := range Cases() {
		t.Run(c.Name(), func(t *testing.T) {
			if reason, left := without[c.Op]; left {
				t.Skip("the engine has no "+c.Op+":", reason)
			}
			c.check(t, run)
		})
	}
}

func (c Case) check(t *testing.T, run Run) {
	b := c.build()
	v := b.values()
	want := c.Reference(v)
	if len(want) != len(b.outputs) {
		t.Fatalf("the reference has %d outputs, the graph %d", len(want), len(b.outputs))
	}
	b.compareOutputs(t, run(t, b.Graph, b.Inputs, false), want, orUsual(c.Tolerance, usualTolerance))
	if len(b.Graph.Terms()) == 0 {
		return
	}
	r := run(t, b.Graph, b.Inputs, true)
	b.compareOutputs(t, r, want, orUsual(c.Tolerance, usualTolerance))
	if loss := b.loss(want); !(math.Abs(r.Loss-loss) <= 1e-5*b.lossScale(want)) {
		t.Errorf("loss %g, want %g", r.Loss, loss)
	}
	checked := 0
	for _, p := range b.Params.Trainable() {
		c.checkGradient(t, b, v, p, r.Grads[p])
		checked++
	}
	if checked == 0 {
		t.Error("no gradient was checked")
	}
}

func orUsual(tolerance, usual float64) float64 {
	if tolerance == 0 {
		return usual
	}
	return tolerance
}

func (b *Builder) compareOutputs(t testing.TB, r Result, want [][]float64, tolerance float64) {
	t.Helper()
	for i, o := range b.outputs {
		if o.t.DType() == nn.Int32 {
			got := r.Ints[o.t]
			for k, w := range want[i] {
				if len(got) != len(want[i]) || float64(got[k]) != w {
					t.Errorf("output %d differs at [%d] of %d: got %v, want %v", i, k, len(want[i]), got, want[i])
					break
				}
			}
			continue
		}
		compare(t, "output "+o.t.String(), r.Floats[o.t], want[i], tolerance)
	}
}

// compare checks |got - want| with a tolerance relative to the largest of want. A NaN fails.
func compare(t testing.TB, name string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d values, want %d", name, len(got), len(want))
		return
	}
	var scale, worst float64
	at := 0
	for i, w := range want {
		scale = max(scale, math.Abs(w))
		if d := math.Abs(float64(got[i]) - w); !(d <= worst) {
			worst, at = d, i
		}
		if math.IsNaN(worst) {
			break
		}
	}
	if !(worst <= max(tolerance*scale, 1e-9)) {
		t.Errorf("%s is off by %.3g at [%d] of %d: got %g, want %g; allowed %.2g of %.3g",
			name, worst, at, len(want), got[at], want[at], tolerance, scale)
	}
}

// loss returns the loss of the graph, from the values of the outputs.
func (b *Builder) loss(values [][]float64) float64 {
	sum := 0.
	for i, o := range b.outputs {
		for k, w := range o.weights {
			sum += float64(w) * values[i][k]
		}
	}
	return sum
}

// lossScale is the size of the summands of the loss, against which its rounding errors are measured.
func (b *Builder) lossScale(values [][]float64) float64 {
	sum := 0.
	for i, o := range b.outputs {
		part := 0.
		for k, w := range o.weights {
			part += math.Pow(float64(w)*values[i][k], 2)
		}
		sum += math.Sqrt(part)
	}
	return sum
}

// checkGradient compares single elements, all of them where there are few, and the slope in two dense directions, which
// any wrong element changes.
func (c Case) checkGradient(t *testing.T, b *Builder, v Values, p *nn.Param, got []float32) {
	t.Helper()
	tolerance := orUsual(c.GradTolerance, usualGradTolerance)
	if b.detached[p] {
		for i, g := range got {
			if g != 0 {
				t.Errorf("gradient of %s at [%d] is %g, want none", p.Name, i, g)
				return
			}
		}
		return
	}
	if got == nil { // the loss does not depend on it: the differences below must be zero
		got = make([]float32, p.Size())
	}
	if len(got) != p.Size() {
		t.Errorf("the gradient of %s has %d values, want %d", p.Name, len(got), p.Size())
		return
	}
	x := v.F(p.Name)
	scale, norm := 0., 0.
	for _, g := range got {
		scale = max(scale, math.Abs(float64(g)))
		norm += float64(g) * float64(g)
	}
	const few, some = 24, 10
	rng := rand.New(rand.NewPCG(uint64(p.Size()), 3))
	for k := range p.Size() {
		if p.Size() > few {
			if k == some {
				break
			}
			k = rng.IntN(p.Size())
		}
		want := c.slope(b, v, x, map[int]float64{k: 1})
		if d := math.Abs(float64(got[k]) - want); !(d <= tolerance*scale+c.GradFloor+1e-8) {
			t.Errorf("gradient of %s at [%d] of %d: got %g, want %g; allowed %.2g of %.3g", p.Name, k, p.Size(), got[k], want, tolerance, scale)
			return
		}
	}
	for range 2 {
		direction, slope := map[int]float64{}, 0.
		for k, g := range got {
			direction[k] = float64(2*rng.IntN(2) - 1)
			slope += direction[k] * float64(g)
		}
		want := c.slope(b, v, x, direction)
		if d := math.Abs(slope - want); !(d <= tolerance*math.Sqrt(norm)*2+(c.GradFloor+1e-8)*math.Sqrt(float64(p.Size()))) {
			t.Errorf("gradient of %s along a direction: got %g, want %g; norm %g", p.Name, slope, want, math.Sqrt(norm))
			return
		}
	}
}

// slope measures how the loss changes along a direction of x, by central differences without the error of order h^2.
func (c Case) slope(b *Builder, v Values, x []float64, direction map[int]float64) float64 {
	kept := append([]float64{}, x...)
	at := func(h float64) float64 {
		for k, d := range direction {
			x[k] = kept[k] + h*d
		}
		defer copy(x, kept)
		return b.loss(c.Reference(v))
	}
	central := func(h float64) float64 { return (at(h) - at(-h)) / (2 * h) }
	h := 1e-4 / math.Sqrt(float64(len(direction)))
	return (4*central(h/2) - central(h)) / 3
}

// Each calls f, as a subtest, with the graph of every case that passes keep, for what an engine's own tests add. Two
// calls build the same values.
func Each(t *testing.T, keep func(c Case, g *nn.Graph) bool, f func(t *testing.T, c Case, g *nn.Graph, in Inputs)) {
	ran := 0
	for _, c := range Cases() {
		b := c.build()
		if !keep(c, b.Graph) {
			continue
		}
		ran++
		t.Run(c.Name(), func(t *testing.T) { f(t, c, b.Graph, b.Inputs) })
	}
	if ran == 0 {
		t.Error("no case was kept")
	}
}

// All keeps every case.
func All(Case, *nn.Graph) bool { return true }

// Training keeps the cases that have a loss.
func Training(_ Case, g *nn.Graph) bool { return len(g.Terms()) > 0 }
