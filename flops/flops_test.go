package flops_test

import (
	"testing"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
)

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestByHand counts graphs that are small enough to count by hand.
func TestByHand(t *testing.T) {
	ps := nn.NewParams()
	w1, w2 := ps.Matrix("w1", nn.Gaussian(1), 5, 3), ps.Matrix("w2", nn.Gaussian(1), 7, 5)
	g := nn.NewGraph()
	x := g.Floats("x", 4, 3)
	h := g.Linear(x, g.Param(w1), nil, nn.LinearOptions{})
	y := g.Linear(h, g.Param(w2), nil, nn.LinearOptions{})
	g.Loss(g.WeightedSum(y, g.Floats("weights", 4, 7)), 1)
	equal(t, "forward", flops.Forward(g), flops.Count{Products: 2*4*3*5 + 2*4*5*7})
	// The first product needs no gradient of x: 2 runs' worth instead of 3.
	equal(t, "training", flops.Training(g), flops.Count{Products: 2*2*4*3*5 + 3*2*4*5*7})
	equal(t, "unshared", unshared(g), flops.Training(g))
	equal(t, "weights", flops.OfWeights(g), flops.Weights{Bytes: 4 * (3*5 + 5*7), FLOPs: 2*4*3*5 + 2*4*5*7})
	equal(t, "part's weights", flops.Part{Graph: g, Runs: 3}.Weights(), flops.Weights{Bytes: 3 * 4 * (3*5 + 5*7), FLOPs: 3 * (2*4*3*5 + 2*4*5*7)})
	equal(t, "part", flops.Part{Graph: g, Runs: 20}.Count(), flops.Count{Products: 20 * (2*4*3*5 + 2*4*5*7)})

	g.Linear(h, g.Param(w2), nil, nn.LinearOptions{}) // the loss does not depend on it
	equal(t, "with a side branch", flops.Training(g), flops.Count{Products: 2*2*4*3*5 + 4*2*4*5*7})

	w2.Frozen = true // the gradient still passes through it
	equal(t, "below frozen", flops.Training(g), flops.Count{Products: 2*2*4*3*5 + 3*2*4*5*7})
	w1.Frozen = true
	equal(t, "frozen", flops.Training(g), flops.Forward(g))
}

// TestShared: a summand with half the rows is computed once for two rows.
func TestShared(t *testing.T) {
	ps := nn.NewParams()
	w := ps.Matrix("w", nn.Gaussian(1), 5, 3)
	g := nn.NewGraph()
	shared := g.Linear(g.Floats("few", 2, 3), g.Param(w), nil, nn.LinearOptions{})
	y := g.Linear(g.Floats("x", 4, 3), g.Param(w), nil, nn.LinearOptions{Add: shared})
	g.Loss(g.WeightedSum(y, g.Floats("weights", 4, 5)), 1)
	equal(t, "training", flops.Training(g).Total(), 2.*2*(2*3*5+4*3*5))
	equal(t, "unshared", unshared(g).Total(), 2.*2*(2*2*3*5+4*3*5))
}

// TestAttention: the lower triangle in training, all of a cache in generation, all of a shared prefix in evaluation.
func TestAttention(t *testing.T) {
	ps := nn.NewParams()
	w := ps.Matrix("w", nn.Gaussian(1), 6, 6)
	g := nn.NewGraph()
	q := g.Linear(g.Floats("x", 2, 3, 6), g.Param(w), nil, nn.LinearOptions{})
	y := g.Attention(q, q, q, 3, 3)
	g.Loss(g.WeightedSum(y, g.Floats("weights", 2, 3, 6)), 1)
	pairs := 2. * (1 + 2 + 3)
	equal(t, "forward", flops.Forward(g).Attention, pairs*(2*6+2*6))
	equal(t, "training", flops.Training(g).Attention, 3*pairs*(2*6+2*6))

	g = nn.NewGraph()
	q, k := g.Floats("q", 2, 1, 6), g.Floats("k", 2, 1, 2)
	g.CachedAttention(q, k, k, g.State("kc", 7, 10, 2), g.State("vc", 7, 10, 2), g.Ints("slot", 2), g.Ints("start", 2), 3, 1)
	equal(t, "cached", flops.Forward(g), flops.Count{Attention: 2 * 10 * (2*6 + 2*6)})

	g = nn.NewGraph()
	q, k = g.Floats("q", 2, 3, 6), g.Floats("k", 2, 3, 2)
	prefix := g.Floats("prefix", 5, 10, 2)
	g.PrefixAttention(q, k, k, prefix, prefix, g.Ints("context", 2), g.Ints("length", 2), 3, 1)
	equal(t, "shared prefixes", flops.Forward(g), flops.Count{Attention: 2 * (3*10 + 1 + 2 + 3) * (2*6 + 2*6)})
}
