package nn

// WeightedSum makes a scalar of a tensor.
//
//	Y = sum_i X[i] * Weights[i]
//
// The tests of engines add it to the output of an operation, with random weights, to get a loss: the gradient of a
// plain sum would hide errors that cancel. Weights gets no gradient.
type WeightedSum struct {
	X       *Tensor // [..]
	Weights *Tensor // as many elements
	Y       *Tensor // [], a loss
}

// WeightedSum adds a WeightedSum operation and returns its Y, which may be a loss.
func (g *Graph) WeightedSum(x, weights *Tensor) *Tensor {
	check(x.dtype == Float32 && weights.Size() == x.Size(), "weighted sum", "%v by %v", x, weights)
	y := g.value()
	g.add(&WeightedSum{X: x, Weights: weights, Y: y})
	return y
}

// Describe implements [Op].
func (o *WeightedSum) Describe() Description {
	return Description{In: []*Tensor{o.X, o.Weights}, Out: []*Tensor{o.Y}, Grad: []*Tensor{o.X}, Loss: o.Y, Flops: NoProducts()}
}
