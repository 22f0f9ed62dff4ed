package nn

// GatedAdd adds a gated summand to a residual (docs/spec.md, section 3.2).
//
//	Y[i] = X[i] + Gate[i mod m] * H[i]
type GatedAdd struct {
	X, H *Tensor // [.., D]
	Gate *Tensor // [.., D] of m rows, which repeat where X has more
	Y    *Tensor // like X
}

// GatedAdd adds a GatedAdd operation and returns its Y.
func (g *Graph) GatedAdd(x, gate, h *Tensor) *Tensor {
	check(repeats(x, gate) && h.Size() == x.Size() && h.Cols() == x.Cols(), "gated add", "x %v, gate %v, h %v", x, gate, h)
	y := g.value(x.shape...)
	g.add(&GatedAdd{X: x, Gate: gate, H: h, Y: y})
	return y
}

// Describe implements [Op].
func (o *GatedAdd) Describe() Description {
	in := []*Tensor{o.X, o.Gate, o.H}
	return Description{In: in, Out: []*Tensor{o.Y}, Grad: in, Flops: NoProducts()}
}
