package testkit

import (
	"math"
	"testing"

	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// Tolerances of the golden cases, see Compare.
const (
	ForwardTolerance  = 1e-5
	GradientTolerance = 5e-5
)

// zeroTolerance is the largest value allowed where a tensor should be all zero.
const zeroTolerance = 1e-7

// Compare checks that max|got - want| <= tolerance * max|want| over a tensor. If want is all zero, it checks that
// max|got| <= 1e-7. NaN fails.
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

// CompareGradients compares the gradients of a training program with the grad.* tensors of the case. Each trainable parameter of
// ps must have one, and there must be no others.
func (c Case) CompareGradients(t testing.TB, p *cpu.Program, ps *nn.Params, tolerance float64) {
	t.Helper()
	for _, param := range ps.Trainable() {
		name := "grad." + param.Name
		if !c.Has(name) {
			t.Errorf("%s: the reference has no gradient of %q", c.Name, param.Name)
			continue
		}
		got := p.Grad(param)
		if got == nil { // the loss does not depend on it
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
	for _, isa := range cpu.ISAs() {
		t.Run(isa.String(), func(t *testing.T) {
			e := cpu.New(cpu.Options{ISA: isa})
			defer e.Close()
			f(t, e)
		})
	}
}

// CompareBrier compares the mean over positions of Brier-1 to 4, and their BrierLM, with the reference's.
func (c Case) CompareBrier(t testing.TB, mean [4]float64) {
	t.Helper()
	got := make([]float32, len(mean))
	for j, b := range mean {
		got[j] = float32(b)
	}
	Compare(t, "out.brier", got, c.Floats(t, "out.brier"), ForwardTolerance)
	Compare(t, "out.brier_lm", []float32{float32(ReferenceBrierLM(mean))}, c.Floats(t, "out.brier_lm"), ForwardTolerance)
}

// CompareScores is CompareBrier for a measured result, in percent. It also checks the number of positions.
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

// ReferenceBrierLM returns BrierLM by the reference's rule (docs/spec.md, section 4), without the factor 100. It is 0 only where
// the product of the four scores is negative. With two or four negative scores it is positive.
func ReferenceBrierLM(mean [4]float64) float64 {
	product := 1.0
	for _, b := range mean {
		product *= b
	}
	return math.Pow(max(product, 0), 1./4)
}
