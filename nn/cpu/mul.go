package cpu

import "github.com/calm-go/calm/nn"

// mul: Y = X * Factor; dX = dY * Factor.
type mul struct {
	p            *Program
	x, factor, y *buf
	dy           *buf
	dx           *grad
	cut          rows
	fwd, bwd     func(worker, i int)
}

func newMul(c *compiler, op *nn.Mul) step {
	o := &mul{p: c.Program, x: c.read(op.X), factor: c.keep(op.Factor), y: c.write(op.Y), cut: cutFlat(op.Y.Size())}
	if o.dy = c.upstream(op.Y); o.dy != nil {
		o.dx = c.downstream(op.X)
	}
	isa := c.eng.isa
	o.fwd = func(_, i int) {
		lo, hi := o.cut.piece(i)
		isa.Mul(o.y.f[lo:hi], o.x.f[lo:hi], o.factor.f[lo:hi])
	}
	o.bwd = func(_, i int) {
		lo, hi := o.cut.piece(i)
		if o.dx.adds(o.p) {
			isa.MulAdd(o.dx.f[lo:hi], o.dy.f[lo:hi], o.factor.f[lo:hi])
		} else {
			isa.Mul(o.dx.f[lo:hi], o.dy.f[lo:hi], o.factor.f[lo:hi])
		}
	}
	return o
}

func (o *mul) forward() error {
	o.p.eng.pool.run(o.cut.pieces(), o.fwd)
	return nil
}

func (o *mul) backward() {
	if o.dx != nil {
		o.p.eng.pool.run(o.cut.pieces(), o.bwd)
	}
}
