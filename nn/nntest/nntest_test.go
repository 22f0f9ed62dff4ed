package nntest

import (
	"reflect"
	"testing"

	"github.com/calm-go/calm/nn"
)

// TestEveryOperationHasCases: a new operation of package nn is added here together with its cases.
func TestEveryOperationHasCases(t *testing.T) {
	ops := []nn.Op{&nn.Embedding{}, &nn.MaskIDs{}, &nn.Linear{}, &nn.SwiGLU{}, &nn.Mul{}, &nn.RMSNorm{}, &nn.LayerNorm{},
		&nn.Rotary{}, &nn.Attention{}, &nn.Reparameterize{}, &nn.ClampedKL{}, &nn.WeightedSum{}, &nn.CrossEntropy{},
		&nn.ArgMax{}, &nn.EnergyScore{}}
	count := map[string]int{}
	names := map[string]bool{}
	for _, c := range Cases() {
		if names[c.Name()] {
			t.Errorf("two cases are called %s", c.Name())
		}
		names[c.Name()] = true
		count[c.Op]++
		found := c.Op == "graph"
		for _, op := range c.build().Graph.Ops() {
			found = found || reflect.TypeOf(op).Elem().Name() == c.Op
		}
		if !found {
			t.Errorf("case %s has no operation %s", c.Name(), c.Op)
		}
	}
	for _, op := range ops {
		if name := reflect.TypeOf(op).Elem().Name(); count[name] < 2 {
			t.Errorf("%s has %d cases", name, count[name])
		}
	}
}

// TestCompareNotices: values beyond the tolerance, missing ones and NaN are refused.
func TestCompareNotices(t *testing.T) {
	nan := float32(0)
	nan /= nan
	for name, got := range map[string][]float32{"off": {1, 2.001}, "short": {1}, "NaN": {nan, 2}} {
		r := &recorder{}
		compare(r, "x", got, []float64{1, 2}, 1e-4)
		if r.errors == 0 {
			t.Errorf("%s values pass", name)
		}
	}
	r := &recorder{}
	compare(r, "x", []float32{1, 2.0001}, []float64{1, 2}, 1e-4)
	if r.errors > 0 {
		t.Error("values within the tolerance fail")
	}
}

// recorder counts errors.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.errors++ }
