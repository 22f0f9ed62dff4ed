package nn

// ClampedKL is the autoencoder's KL divergence from the standard normal distribution, clamped in each dimension so that
// no dimension collapses (docs/spec.md, section 2).
//
//	Y = mean over rows of sum_z max(.5 (mean^2 + std^2 - 1 - 2 log std), Clamp)
//
// A clamped dimension has gradient 0.
type ClampedKL struct {
	Mean, LogStd *Tensor // [.., Z]
	Y            *Tensor // [], a loss
	Clamp        float32 // minimum KL of a dimension, in nats, 0 or more
}

// ClampedKL adds a ClampedKL operation and returns its Y, which may be a loss.
func (g *Graph) ClampedKL(mean, logStd *Tensor, clamp float32) *Tensor {
	check(logStd.is(mean.shape...), "clamped kl", "mean %v, log_std %v", mean, logStd)
	y := g.value()
	g.add(&ClampedKL{Mean: mean, LogStd: logStd, Y: y, Clamp: clamp})
	return y
}

// Describe implements [Op].
func (o *ClampedKL) Describe() Description {
	in := []*Tensor{o.Mean, o.LogStd}
	return Description{In: in, Out: []*Tensor{o.Y}, Grad: in, Loss: o.Y, Flops: NoProducts()}
}
