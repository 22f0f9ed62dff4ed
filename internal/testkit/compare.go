package testkit

import (
	"math"
	"testing"

	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// Tolerances of the golden cases, see Compare.
const (
	ForwardTolerance  = 1e-5
	GradientTolerance = 5e-5
)

// zeroTolerance is how large a value may be where all of a tensor is expected to be zero.
const zeroTolerance = 1e-7

// Compare checks max|got - want| <= tolerance * max|want| over a tensor, or, where want is all zero, max|got| <= 1e-7.
// A NaN fails.
func Compare(t testing.TB, name string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d values, want %d", name, len(got), len(want))
		return
	}
	var scale, worst float64
	at := 0
	for i, w := range want {
		scale = max(scale, math.Abs(float64(w)))
		if d := math.Abs(float64(got[i]) - float64(w)); d > worst || math.IsNaN(d) {
			worst, at = d, i
		}
	}
	limit := tolerance * scale
	if scale == 0 {
		limit = zeroTolerance
	}
	if !(worst <= limit) {
		t.Errorf("%s is off by %.3g at [%d]: got %g, want %g; allowed %.3g (%.2g of %.3g)",
			name, worst, at, got[at], want[at], limit, tolerance, scale)
	}
}

// CompareInts checks that integers are equal.
func CompareInts(t testing.TB, name string, got, want []int32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d values, want %d", name, len(got), len(want))
		return
	}
	wrong, first := 0, 0
	for i := range want {
		if got[i] != want[i] {
			if wrong == 0 {
				first = i
			}
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("%s differs in %d of %d; first at [%d]: got %d, want %d", name, wrong, len(want), first, got[first], want[first])
	}
}

// CompareGradients compares the gradients of a training program with all the grad.* tensors of the case, and expects
// each trainable parameter of ps to have one there.
func (c Case) CompareGradients(t testing.TB, p *cpu.Program, ps *nn.Params, tolerance float64) {
	t.Helper()
	for _, param := range ps.Trainable() {
		name := "grad." + param.Name
		if !c.Has(name) {
			t.Errorf("%s: the reference has no gradient of %q", c.Name, param.Name)
			continue
		}
		got := p.Grad(param)
		if got == nil { // the loss does not reach it
			got = make([]float32, param.Size())
		}
		Compare(t, name, got, c.Floats(t, name), tolerance)
	}
	if n, want := len(c.Names("grad.")), len(ps.Trainable()); n != want {
		t.Errorf("%s: the reference has %d gradients, the model %d trainable parameters", c.Name, n, want)
	}
}

// EachEngine runs f as a subtest on an engine of every instruction set that the machine has.
func EachEngine(t *testing.T, f func(t *testing.T, e *cpu.Engine)) {
	t.Helper()
	for _, isa := range kernel.Available() {
		t.Run(isa.String(), func(t *testing.T) {
			e := cpu.New(cpu.Options{ISA: &isa})
			defer e.Close()
			f(t, e)
		})
	}
}

// CompareBrier compares Brier-1 to 4, the mean over positions, and BrierLM of them with what the reference has.
func (c Case) CompareBrier(t testing.TB, mean [4]float64) {
	t.Helper()
	got := make([]float32, len(mean))
	for j, b := range mean {
		got[j] = float32(b)
	}
	Compare(t, "out.brier", got, c.Floats(t, "out.brier"), ForwardTolerance)
	Compare(t, "out.brier_lm", []float32{float32(ReferenceBrierLM(mean))}, c.Floats(t, "out.brier_lm"), ForwardTolerance)
}

// CompareScores is CompareBrier for what was measured, in percent, at that many positions.
func (c Case) CompareScores(t testing.TB, r brier.Result, positions int) {
	t.Helper()
	if r.Positions != positions {
		t.Errorf("%d positions, want %d", r.Positions, positions)
	}
	var mean [brier.N]float64
	for j, b := range r.Brier {
		mean[j] = b / 100
	}
	c.CompareBrier(t, mean)
}

// ReferenceBrierLM returns BrierLM by the rule of the reference: not times 100, and 0 only where the product of the four
// scores is negative, so that two or four negative scores make a good one.
func ReferenceBrierLM(mean [4]float64) float64 {
	product := 1.0
	for _, b := range mean {
		product *= b
	}
	return math.Pow(max(product, 0), 1./4)
}
