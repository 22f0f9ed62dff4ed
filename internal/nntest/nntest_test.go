package nntest

import (
	"slices"
	"testing"

	"github.com/calm-go/calm/nn"
)

// TestEveryOperationHasCases: at least two, each with the operation that it is named after. Building a case also checks
// the operation's description, its FLOPs among others.
func TestEveryOperationHasCases(t *testing.T) {
	count, trained, differentiable := map[string]int{}, map[string]bool{}, map[string]bool{}
	names := map[string]bool{}
	for _, c := range cases() {
		if names[c.Name()] {
			t.Errorf("two cases are called %s", c.Name())
		}
		names[c.Name()] = true
		if !c.Benchmark {
			count[c.Op]++
		}
		found := c.Op == "graph"
		b := c.build()
		g, need := b.Graph, b.Graph.NeedsGrad()
		for p := range b.detached {
			if need[g.Param(p).ID()] {
				t.Errorf("case %s: %s gets no gradient by definition, but an operation describes one", c.Name(), p.Name)
			}
		}
		for _, op := range g.Ops() {
			if nn.OpName(op) != c.Op {
				continue
			}
			found = true
			for _, in := range op.Describe().Grad {
				differentiable[c.Op] = true
				trained[c.Op] = trained[c.Op] || need[in.ID()]
			}
		}
		if !found {
			t.Errorf("case %s has no operation %s", c.Name(), c.Op)
		}
	}
	for _, name := range Operations(t, "../../nn") {
		if count[name] < 2 {
			t.Errorf("%s has %d cases, want at least 2: write them in internal/nntest, and add them to the list in cases.go", name, count[name])
		}
		if differentiable[name] && !trained[name] {
			t.Errorf("%s has gradients, and no case checks them: use Builder.Differentiate or Builder.Loss", name)
		}
	}
}

// TestCheckTableNotices: a table with gaps is refused.
func TestCheckTableNotices(t *testing.T) {
	all := Operations(t, "../../nn")
	for name, table := range map[string]struct {
		implemented []string
		without     map[string]string
		errors      int
	}{
		"complete":           {all, nil, 0},
		"one is missing":     {all[1:], nil, 1},
		"one is left out":    {all[1:], map[string]string{all[0]: "a reason"}, 0},
		"no reason":          {all[1:], map[string]string{all[0]: ""}, 1},
		"left out and there": {all, map[string]string{all[0]: "a reason"}, 1},
		"unknown ones":       {append(slices.Clone(all), "Gone"), map[string]string{"Forgotten": "a reason"}, 2},
	} {
		r := &recorder{}
		CheckTable(r, "../../nn", table.implemented, table.without)
		if r.errors != table.errors {
			t.Errorf("%s: %d errors, want %d", name, r.errors, table.errors)
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
