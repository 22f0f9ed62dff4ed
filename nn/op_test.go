package nn

import (
	"slices"
	"strings"
	"testing"
)

// described is an operation whose description the test sets.
type described struct{ d Description }

func (o *described) Describe() Description { return o.d }

// TestDescriptionsAreVerified: a graph refuses an operation whose description is incomplete, and says what is wrong.
func TestDescriptionsAreVerified(t *testing.T) {
	g, other := NewGraph(), NewGraph()
	x, y, scalar, foreign := g.Floats("x", 2), g.value(2), g.value(), other.Floats("x", 2)
	whole := Description{In: []*Tensor{x}, Out: []*Tensor{y, scalar}, Grad: []*Tensor{x}, Loss: scalar, Flops: NoProducts()}
	for name, c := range map[string]struct {
		change func(d *Description)
		want   string
	}{
		"no FLOPs":           {func(d *Description) { d.Flops = nil }, "Describe states no Flops: NoProducts() if"},
		"no output":          {func(d *Description) { d.Out = nil }, "Describe lists no output"},
		"nil input":          {func(d *Description) { d.In = []*Tensor{nil} }, "Describe lists a nil tensor"},
		"another graph":      {func(d *Description) { d.In = []*Tensor{x, foreign} }, "x [2] belongs to another graph"},
		"gradient elsewhere": {func(d *Description) { d.Grad = []*Tensor{y} }, "a gradient of #1 [2], which is no input"},
		"writes an input":    {func(d *Description) { d.Writes = d.In }, "x [2] as written, which is no state"},
		"loss of a shape":    {func(d *Description) { d.Loss = y }, "names #1 [2] as the loss, which is no scalar output"},
		"loss elsewhere":     {func(d *Description) { d.Out = d.Out[:1] }, "as the loss, which is no scalar output"},
		"loss alone":         {func(d *Description) { d.Grad = nil }, "a loss without gradients"},
		"whole":              {func(*Description) {}, ""},
	} {
		d := whole
		c.change(&d)
		got := panicOf(func() { g.add(&described{d}) })
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || got != "" && !strings.HasPrefix(got, "nn: described: ") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func panicOf(f func()) (message string) {
	defer func() { message, _ = recover().(string) }()
	f()
	return ""
}

// TestNeedsGrad: gradients reach what is trainable, or computed from it, and on the way to the loss.
func TestNeedsGrad(t *testing.T) {
	ps := NewParams()
	trained, frozen, side := ps.Matrix("trained", Gaussian(1), 3, 3), ps.Matrix("frozen", Gaussian(1), 3, 3), ps.Matrix("side", Gaussian(1), 3, 3)
	frozen.Frozen = true
	g := NewGraph()
	x, w, f, s := g.Floats("x", 2, 3), g.Param(trained), g.Param(frozen), g.Param(side)
	before := g.Linear(x, f, nil, LinearOptions{})
	hidden := g.Linear(before, w, nil, LinearOptions{})
	view := g.Reshape(hidden, 3, 2)
	after := g.Linear(hidden, f, nil, LinearOptions{})
	unused := g.Linear(hidden, s, nil, LinearOptions{})
	factor := g.Linear(hidden, s, nil, LinearOptions{})
	loss := g.WeightedSum(g.Mul(after, factor), g.Floats("weights", 2, 3)) // the factor gets no gradient
	g.Loss(loss, 2)
	need := g.NeedsGrad()
	for _, c := range []struct {
		name string
		t    *Tensor
		want bool
	}{{"input", x, false}, {"before", before, false}, {"trained", w, true}, {"frozen", f, false}, {"hidden", hidden, true}, {"view", view, true},
		{"after", after, true}, {"unused", unused, false}, {"factor", factor, false}, {"side", s, false}, {"loss", loss, true}} {
		if need[c.t.ID()] != c.want {
			t.Errorf("%s: needs a gradient: %t, want %t", c.name, need[c.t.ID()], c.want)
		}
	}
	if got := panicOf(func() { g.Loss(after, 1) }); !strings.Contains(got, "is not the loss of an operation") {
		t.Errorf("a loss that is none: %q", got)
	}
	if !slices.Contains(g.Outputs(), loss) || g.LossWeight(loss) != 2 {
		t.Error("the loss is no output, or has lost its weight")
	}
}

// TestProduct: the backward run of a product takes as much as the forward run for each operand that needs a gradient.
func TestProduct(t *testing.T) {
	g := NewGraph()
	x, w := g.Floats("x", 2), g.Floats("w", 2)
	f := Product(10, x, w)
	for n, needed := range [][]*Tensor{{}, {x}, {x, w}} {
		if got := f.Backward(func(t *Tensor) bool { return slices.Contains(needed, t) }); got != float64(10*n) {
			t.Errorf("%d operands with gradient: %v", n, got)
		}
	}
}
