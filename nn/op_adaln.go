package nn

// Sinusoid embeds times as waves, cosines first (SPEC section 3.2).
//
//	Y[i, j], Y[i, h+j] = cos, sin(floor(Scale*T[i]) * 10000^(-j/h)), j < h      T [..], Y [size of T, 2h]
//
// The product with Scale is one of float32, as the reference's. T gets no gradient.
type Sinusoid struct {
	T, Y  *Tensor
	Scale float32
}

// Sinusoid adds a Sinusoid operation of an even width.
func (g *Graph) Sinusoid(t *Tensor, scale float32, width int) *Tensor {
	check(t.dtype == Float32 && width > 0 && width%2 == 0, "sinusoid", "%v, width %d", t, width)
	y := g.value(t.Size(), width)
	g.add(&Sinusoid{t, y, scale})
	return y
}

// In implements [Op].
func (o *Sinusoid) In() []*Tensor { return []*Tensor{o.T} }

// Out implements [Op].
func (o *Sinusoid) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *Sinusoid) Flops() float64 { return 0 }

// Modulate shifts and scales rows by others, which repeat where there are fewer (adaptive layer norm, SPEC section 3.2).
//
//	Y[i] = X[i] * (1 + Scale[i mod m]) + Shift[i mod m]      X, Y [.., D]; Shift, Scale of m rows [.., D]
type Modulate struct{ X, Shift, Scale, Y *Tensor }

// Modulate adds a Modulate operation.
func (g *Graph) Modulate(x, shift, scale *Tensor) *Tensor {
	check(repeats(x, shift) && shift.is(scale.shape...), "modulate", "x %v, shift %v, scale %v", x, shift, scale)
	y := g.value(x.shape...)
	g.add(&Modulate{x, shift, scale, y})
	return y
}

// In implements [Op].
func (o *Modulate) In() []*Tensor { return []*Tensor{o.X, o.Shift, o.Scale} }

// Out implements [Op].
func (o *Modulate) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *Modulate) Flops() float64 { return 0 }

// GatedAdd adds to a residual what a gate lets through; the gate's rows repeat where there are fewer.
//
//	Y[i] = X[i] + Gate[i mod m] * H[i]      X, H, Y [.., D]; Gate of m rows [.., D]
type GatedAdd struct{ X, Gate, H, Y *Tensor }

// GatedAdd adds a GatedAdd operation.
func (g *Graph) GatedAdd(x, gate, h *Tensor) *Tensor {
	check(repeats(x, gate) && h.Size() == x.Size() && h.Cols() == x.Cols(), "gated add", "x %v, gate %v, h %v", x, gate, h)
	y := g.value(x.shape...)
	g.add(&GatedAdd{x, gate, h, y})
	return y
}

// In implements [Op].
func (o *GatedAdd) In() []*Tensor { return []*Tensor{o.X, o.Gate, o.H} }

// Out implements [Op].
func (o *GatedAdd) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *GatedAdd) Flops() float64 { return 0 }

// repeats reports whether the rows of part, repeated, are those of x.
func repeats(x, part *Tensor) bool { return x.Cols() == part.Cols() && x.Rows()%part.Rows() == 0 }
