package nn

// Rotary is the rotary position embedding in the half-split layout of Llama: it rotates each pair (x_i, x_{i+d/2}) of a
// head of size d by the angle position * Theta^(-2i/d).
//
// It is differentiable only without Start.
type Rotary struct {
	X     *Tensor // [batch, T, Heads*d]
	Start *Tensor // [batch] int32, or nil for 0: row t of batch entry b is at position Start[b] + t
	Y     *Tensor // like X
	Heads int     // number of heads
	Theta float64 // base of the angles' frequencies
}

// Rotary adds a Rotary operation and returns its Y; start may be nil.
func (g *Graph) Rotary(x, start *Tensor, heads int, theta float64) *Tensor {
	check(len(x.shape) == 3 && x.Cols()%(2*heads) == 0, "rotary", "x %v, %d heads", x, heads)
	check(start == nil || start.dtype == Int32 && start.is(x.Dim(0)), "rotary", "x %v, start %v", x, start)
	y := g.value(x.shape...)
	g.add(&Rotary{X: x, Start: start, Y: y, Heads: heads, Theta: theta})
	return y
}

// Describe implements [Op].
func (o *Rotary) Describe() Description {
	return Description{In: present(o.X, o.Start), Out: []*Tensor{o.Y}, Grad: []*Tensor{o.X}, Flops: NoProducts()}
}
