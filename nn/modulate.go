package nn

// Modulate shifts and scales rows: the modulation of adaptive layer norm (docs/spec.md, section 3.2).
//
//	Y[i] = X[i] * (1 + Scale[i mod m]) + Shift[i mod m]
type Modulate struct {
	X            *Tensor // [.., D]
	Shift, Scale *Tensor // [.., D] of m rows, which repeat where X has more
	Y            *Tensor // like X
}

// Modulate adds a Modulate operation and returns its Y.
func (g *Graph) Modulate(x, shift, scale *Tensor) *Tensor {
	check(repeats(x, shift) && shift.is(scale.shape...), "modulate", "x %v, shift %v, scale %v", x, shift, scale)
	y := g.value(x.shape...)
	g.add(&Modulate{X: x, Shift: shift, Scale: scale, Y: y})
	return y
}

// Describe implements [Op].
func (o *Modulate) Describe() Description {
	in := []*Tensor{o.X, o.Shift, o.Scale}
	return Description{In: in, Out: []*Tensor{o.Y}, Grad: in, Flops: NoProducts()}
}
