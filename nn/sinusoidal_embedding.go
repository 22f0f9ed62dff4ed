package nn

// SinusoidalEmbedding embeds times as sinusoids of several frequencies, the cosines first (docs/spec.md, section 3.2).
//
//	Y[i, j], Y[i, h+j] = cos, sin(floor(Scale*T[i]) * 10000^(-j/h)), j < h
//
// The product with Scale is rounded to float32, as the reference's. T gets no gradient.
type SinusoidalEmbedding struct {
	T     *Tensor // [..]
	Y     *Tensor // [size of T, 2h]
	Scale float32 // factor from T to the times that are embedded
}

// SinusoidalEmbedding adds a SinusoidalEmbedding operation and returns its Y [size of t, width]; width is even.
func (g *Graph) SinusoidalEmbedding(t *Tensor, scale float32, width int) *Tensor {
	check(t.dtype == Float32 && width > 0 && width%2 == 0, "sinusoidal embedding", "%v, width %d", t, width)
	y := g.value(t.Size(), width)
	g.add(&SinusoidalEmbedding{T: t, Y: y, Scale: scale})
	return y
}

// Describe implements [Op].
func (o *SinusoidalEmbedding) Describe() Description {
	return Description{In: []*Tensor{o.T}, Out: []*Tensor{o.Y}, Flops: NoProducts()}
}
