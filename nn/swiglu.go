package nn

// SwiGLU is the gate of Llama's MLP and of the blocks of the energy head.
//
//	Y = SiLU(Gate) * Up, SiLU(x) = x / (1 + exp(-x))
type SwiGLU struct {
	Gate, Up *Tensor // [..], of one shape
	Y        *Tensor // like Gate
}

// SwiGLU adds a SwiGLU operation and returns its Y.
func (g *Graph) SwiGLU(gate, up *Tensor) *Tensor {
	check(up.is(gate.shape...), "swiglu", "gate %v, up %v", gate, up)
	y := g.value(gate.shape...)
	g.add(&SwiGLU{Gate: gate, Up: up, Y: y})
	return y
}

// Describe implements [Op].
func (o *SwiGLU) Describe() Description {
	in := []*Tensor{o.Gate, o.Up}
	return Description{In: in, Out: []*Tensor{o.Y}, Grad: in, Flops: NoProducts()}
}
