package bench

import (
	"math"
	"testing"

	"github.com/calm-go/calm/nn"
)

// TestModelFLOPs counts the steps of the issue as the issue does. Its figures have two to four digits, and for language
// models it does not say whether the last patch of a row counts, which predicts nothing.
func TestModelFLOPs(t *testing.T) {
	names := IssuePresets()
	if len(names) != 6 {
		t.Fatalf("%d presets: %v", len(names), names)
	}
	for _, name := range names {
		m, err := newModel(name, "", true, nil)
		if err != nil {
			t.Fatal(err)
		}
		o, err := m.objective()
		if err != nil {
			t.Fatal(err)
		}
		got, want := modelFLOPs(o.Graph)/1e9, issuePresets[name].gflop
		t.Logf("%s: %.2f GFLOP, issue %g", name, got, want)
		tolerance := .005
		if m.lm != nil {
			tolerance = .065
		}
		if math.Abs(got-want) > tolerance*want {
			t.Errorf("%s: %.2f GFLOP, the issue says %g", name, got, want)
		}
	}
}

// TestOpFLOPs counts a tiny graph by hand.
func TestOpFLOPs(t *testing.T) {
	ps := nn.NewParams()
	w1, w2 := ps.Matrix("w1", nn.Gaussian(1), 5, 3), ps.Matrix("w2", nn.Gaussian(1), 7, 5)
	g := nn.NewGraph()
	x := g.Floats("x", 4, 3)
	h := g.Linear(x, g.Param(w1), nil, nn.LinearOptions{})
	y := g.Linear(h, g.Param(w2), nil, nn.LinearOptions{})
	g.Loss(g.WeightedSum(y, g.Floats("weights", 4, 7)), 1)
	// The first product needs no gradient of x: 2 runs' worth instead of 3.
	if got, want := modelFLOPs(g), 2.*2*4*3*5+3*2*4*5*7; got != want {
		t.Errorf("%g FLOPs, want %g", got, want)
	}
	if got, want := weightCost(g), (cost{bytes: 4 * (3*5 + 5*7), flops: 2*4*3*5 + 2*4*5*7}); got != want {
		t.Errorf("a forward run takes %+v, want %+v", got, want)
	}
	// A summand of half the rows was made once for two.
	g = nn.NewGraph()
	shared := g.Linear(g.Floats("few", 2, 3), g.Param(w1), nil, nn.LinearOptions{})
	y = g.Linear(g.Floats("x", 4, 3), g.Param(w1), nil, nn.LinearOptions{Add: shared})
	g.Loss(g.WeightedSum(y, g.Floats("weights", 4, 5)), 1)
	if got, want := modelFLOPs(g), 2.*2*(2*2*3*5+4*3*5); got != want {
		t.Errorf("%g FLOPs, want %g", got, want)
	}
}
