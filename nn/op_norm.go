package nn

// RMSNorm divides each row by its root mean square.
//
//	Y = X / sqrt(mean(X^2) + Eps) * W      X [.., D], W [D]
type RMSNorm struct {
	X, W, Y *Tensor
	Eps     float32
}

// RMSNorm adds an RMSNorm operation.
func (g *Graph) RMSNorm(x, w *Tensor, eps float32) *Tensor {
	check(w.is(x.Cols()), "rmsnorm", "x %v, w %v", x, w)
	y := g.value(x.shape...)
	g.add(&RMSNorm{x, w, y, eps})
	return y
}

// In implements [Op].
func (o *RMSNorm) In() []*Tensor { return []*Tensor{o.X, o.W} }

// Out implements [Op].
func (o *RMSNorm) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *RMSNorm) Flops() float64 { return 0 }

// LayerNorm centres and scales each row, with the biased variance.
//
//	Y = (X - mean(X)) / sqrt(var(X) + Eps) * W + B      X [.., D]; W, B [D], or both nil
type LayerNorm struct {
	X, W, B, Y *Tensor
	Eps        float32
}

// LayerNorm adds a LayerNorm operation; w and b may both be nil.
func (g *Graph) LayerNorm(x, w, b *Tensor, eps float32) *Tensor {
	check((w == nil) == (b == nil), "layernorm", "weight and bias go together")
	check(w == nil || w.is(x.Cols()) && b.is(x.Cols()), "layernorm", "x %v, w %v, b %v", x, w, b)
	y := g.value(x.shape...)
	g.add(&LayerNorm{x, w, b, y, eps})
	return y
}

// In implements [Op].
func (o *LayerNorm) In() []*Tensor { return present(o.X, o.W, o.B) }

// Out implements [Op].
func (o *LayerNorm) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *LayerNorm) Flops() float64 { return 0 }
