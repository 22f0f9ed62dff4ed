package nn

// RMSNorm divides each row by its root mean square.
//
//	Y = X / sqrt(mean(X^2) + Eps) * W
type RMSNorm struct {
	X   *Tensor // [.., D]
	W   *Tensor // [D]
	Y   *Tensor // [.., D]
	Eps float32 // added to the mean square, above 0
}

// RMSNorm adds an RMSNorm operation and returns its Y.
func (g *Graph) RMSNorm(x, w *Tensor, eps float32) *Tensor {
	check(w.is(x.Cols()), "rms norm", "x %v, w %v", x, w)
	y := g.value(x.shape...)
	g.add(&RMSNorm{X: x, W: w, Y: y, Eps: eps})
	return y
}

// Describe implements [Op].
func (o *RMSNorm) Describe() Description {
	in := []*Tensor{o.X, o.W}
	return Description{In: in, Out: []*Tensor{o.Y}, Grad: in, Flops: NoProducts()}
}
