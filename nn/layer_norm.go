package nn

// LayerNorm centres and scales each row, with the biased variance.
//
//	Y = (X - mean(X)) / sqrt(var(X) + Eps) * W + B
type LayerNorm struct {
	X    *Tensor // [.., D]
	W, B *Tensor // [D], or both nil for 1 and 0
	Y    *Tensor // [.., D]
	Eps  float32 // added to the variance, above 0
}

// LayerNorm adds a LayerNorm operation and returns its Y; w and b may both be nil.
func (g *Graph) LayerNorm(x, w, b *Tensor, eps float32) *Tensor {
	check((w == nil) == (b == nil), "layer norm", "weight and bias go together")
	check(w == nil || w.is(x.Cols()) && b.is(x.Cols()), "layer norm", "x %v, w %v, b %v", x, w, b)
	y := g.value(x.shape...)
	g.add(&LayerNorm{X: x, W: w, B: b, Y: y, Eps: eps})
	return y
}

// Describe implements [Op].
func (o *LayerNorm) Describe() Description {
	in := present(o.X, o.W, o.B)
	return Description{In: in, Out: []*Tensor{o.Y}, Grad: in, Flops: NoProducts()}
}
