package cpu

// step is a compiled operation. forward and backward may return early where nothing is to do; only forward meets data
// that can be wrong.
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
