package nn

// Reparameterize draws a sample of a Gaussian posterior.
//
//	Y = Mean + exp(LogStd) * Eps
//
// Eps gets no gradient.
type Reparameterize struct {
	Mean, LogStd *Tensor // [.., Z]
	Eps          *Tensor // as many elements, standard normal
	Y            *Tensor // [.., Z]
}

// Reparameterize adds a Reparameterize operation and returns its Y.
func (g *Graph) Reparameterize(mean, logStd, eps *Tensor) *Tensor {
	check(logStd.is(mean.shape...) && eps.Size() == mean.Size(), "reparameterize", "mean %v, log_std %v, eps %v", mean, logStd, eps)
	y := g.value(mean.shape...)
	g.add(&Reparameterize{Mean: mean, LogStd: logStd, Eps: eps, Y: y})
	return y
}

// Describe implements [Op].
func (o *Reparameterize) Describe() Description {
	return Description{
		In:    []*Tensor{o.Mean, o.LogStd, o.Eps},
		Out:   []*Tensor{o.Y},
		Grad:  []*Tensor{o.Mean, o.LogStd},
		Flops: NoProducts(),
	}
}
