package cpu

import "github.com/calm-go/calm/nn"

// reparameterize: Y = Mean + exp(LogStd) * Eps; dMean = dY, dLogStd = dY * exp(LogStd) * Eps.
type reparameterize struct {
	p                    *Program
	mean, logStd, eps, y *buf
	dy                   *buf
	dmean, dlogStd       *grad
	cut                  rows
	fwd, bwd             func(worker, i int)
}

func newReparameterize(c *compiler, op *nn.Reparameterize) step {
	o := &reparameterize{p: c.Program, mean: c.read(op.Mean), logStd: c.keep(op.LogStd), eps: c.keep(op.Eps), y: c.write(op.Y)}
	o.cut = cutFlat(op.Y.Size())
	if o.dy = c.upstream(op.Y); o.dy != nil {
		o.dmean, o.dlogStd = c.downstream(op.Mean), c.downstream(op.LogStd)
	}
	isa := c.eng.isa
	o.fwd = func(_, i int) {
		lo, hi := o.cut.piece(i)
		y := o.y.f[lo:hi]
		isa.Exp(y, o.logStd.f[lo:hi])
		isa.MulAddTo(y, o.mean.f[lo:hi], y, o.eps.f[lo:hi])
	}
	o.bwd = o.backwardPiece
	return o
}

func (o *reparameterize) forward() error {
	o.p.eng.pool.run(o.cut.pieces(), o.fwd)
	return nil
}

func (o *reparameterize) backward() {
	if o.dy != nil {
		o.p.eng.pool.run(o.cut.pieces(), o.bwd)
	}
}

func (o *reparameterize) backwardPiece(worker, i int) {
	lo, hi := o.cut.piece(i)
	isa := o.p.eng.isa
	std := o.p.eng.pool.scratchAtLeast(worker, hi-lo)[:hi-lo]
	isa.Exp(std, o.logStd.f[lo:hi])
	isa.Mul(std, std, o.eps.f[lo:hi])
	isa.Mul(std, std, o.dy.f[lo:hi])
	o.dmean.put(o.p, lo, o.dy.f[lo:hi])
	o.dlogStd.put(o.p, lo, std)
}
