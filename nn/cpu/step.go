package cpu

// step is a compiled operation. forward and backward may return early if there is nothing to do. Only forward returns
// an error: it is the one that reads data of the caller.
type step interface {
	forward() error
	backward()
}

// noBackward is embedded by steps that do nothing in the backward run.
type noBackward struct{}

func (noBackward) backward() {}

// put makes a contribution at an offset of the gradient.
func (g *grad) put(p *Program, at int, values []float32) {
	if g == nil {
		return
	}
	dst := g.f[at : at+len(values)]
	if g.adds(p) {
		p.eng.isa.Add(dst, dst, values)
	} else {
		copy(dst, values)
	}
}
