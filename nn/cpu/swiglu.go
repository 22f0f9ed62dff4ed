package cpu

import "github.com/calm-go/calm/nn"

// swiGLU: Y = SiLU(Gate) * Up. Backward recomputes the sigmoid.
type swiGLU struct {
	p           *Program
	gate, up, y *buf
	dy          *buf
	dgate, dup  *grad
	cut         rows
	fwd, bwd    func(worker, i int)
}

func newSwiGLU(c *compiler, op *nn.SwiGLU) step {
	o := &swiGLU{p: c.Program, gate: c.keep(op.Gate), up: c.keep(op.Up), y: c.write(op.Y), cut: cutFlat(op.Y.Size())}
	if o.dy = c.upstream(op.Y); o.dy != nil {
		o.dgate, o.dup = c.downstream(op.Gate), c.downstream(op.Up)
	}
	o.fwd = func(_, i int) {
		lo, hi := o.cut.piece(i)
		o.p.eng.isa.SwiGLU(o.y.f[lo:hi], o.gate.f[lo:hi], o.up.f[lo:hi])
	}
	o.bwd = o.backwardPiece
	return o
}

func (o *swiGLU) forward() error {
	o.p.eng.pool.run(o.cut.pieces(), o.fwd)
	return nil
}

func (o *swiGLU) backward() {
	if o.dy != nil {
		o.p.eng.pool.run(o.cut.pieces(), o.bwd)
	}
}

func (o *swiGLU) backwardPiece(worker, i int) {
	lo, hi := o.cut.piece(i)
	isa := o.p.eng.isa
	const block = 1024
	scratch := o.p.eng.pool.scratchAtLeast(worker, 2*block)
	for ; lo < hi; lo += block {
		end := min(lo+block, hi)
		dg, du := scratch[:end-lo], scratch[block:block+end-lo]
		isa.SwiGLUGrad(dg, du, o.gate.f[lo:end], o.up.f[lo:end], o.dy.f[lo:end])
		o.dgate.put(o.p, lo, dg)
		o.dup.put(o.p, lo, du)
	}
}
