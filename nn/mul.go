package nn

// Mul multiplies elementwise. Dropout is Mul by a Bernoulli random tensor.
//
//	Y = X * Factor
//
// Factor gets no gradient.
type Mul struct {
	X      *Tensor // [..]
	Factor *Tensor // as many elements
	Y      *Tensor // like X
}

// Mul adds a Mul operation and returns its Y.
func (g *Graph) Mul(x, factor *Tensor) *Tensor {
	check(factor.Size() == x.Size(), "mul", "%v by %v", x, factor)
	y := g.value(x.shape...)
	g.add(&Mul{X: x, Factor: factor, Y: y})
	return y
}

// Describe implements [Op].
func (o *Mul) Describe() Description {
	return Description{In: []*Tensor{o.X, o.Factor}, Out: []*Tensor{o.Y}, Grad: []*Tensor{o.X}, Flops: NoProducts()}
}
