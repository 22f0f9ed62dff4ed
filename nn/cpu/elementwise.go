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

// clampedKL: Y = mean over rows of sum_z max(.5 (mean^2 + std^2 - 1) - log std, Clamp). The upstream gradient of the
// scalar is its weight in the loss, so backward needs no buffer of it:
//
//	dMean = w/rows * mean, dLogStd = w/rows * (std^2 - 1), both 0 where clamped
type clampedKL struct {
	p              *Program
	mean, logStd   *buf
	y              *buf
	dmean, dlogStd *grad
	clamp, weight  float32
	n              int
	cut            rows
	sums           []float64 // one a piece
	fwd, bwd       func(worker, i int)
}

func newClampedKL(c *compiler, op *nn.ClampedKL) step {
	o := &clampedKL{p: c.Program, mean: c.keep(op.Mean), logStd: c.keep(op.LogStd), y: c.write(op.Y), clamp: op.Clamp,
		n: op.Mean.Rows(), cut: cutFlat(op.Mean.Size())}
	o.sums = make([]float64, o.cut.pieces())
	if o.weight = c.graph.LossWeight(op.Y) / float32(o.n); o.weight != 0 && c.training {
		o.dmean, o.dlogStd = c.downstream(op.Mean), c.downstream(op.LogStd)
	}
	o.fwd, o.bwd = o.sumPiece, o.backwardPiece
	return o
}

func (o *clampedKL) forward() error {
	o.p.eng.pool.run(len(o.sums), o.fwd)
	var sum float64
	for _, s := range o.sums {
		sum += s
	}
	o.y.f[0] = float32(sum / float64(o.n))
	return nil
}

// variances gives std^2 of a piece in scratch.
func (o *clampedKL) variances(worker, lo, hi int) []float32 {
	isa := o.p.eng.isa
	v := o.p.eng.pool.scratchAtLeast(worker, 3*(hi-lo))[:hi-lo]
	isa.Scale(v, 2, o.logStd.f[lo:hi])
	isa.Exp(v, v)
	return v
}

func (o *clampedKL) sumPiece(worker, i int) {
	lo, hi := o.cut.piece(i)
	var sum float64
	for k, v := range o.variances(worker, lo, hi) {
		m, s := o.mean.f[lo+k], o.logStd.f[lo+k]
		sum += float64(max(.5*(m*m+v-1)-s, o.clamp))
	}
	o.sums[i] = sum
}

func (o *clampedKL) backward() {
	if o.dmean != nil || o.dlogStd != nil {
		o.p.eng.pool.run(len(o.sums), o.bwd)
	}
}

func (o *clampedKL) backwardPiece(worker, i int) {
	lo, hi := o.cut.piece(i)
	v := o.variances(worker, lo, hi)
	n := hi - lo
	all := v[:3*n]
	dm, ds := all[n:2*n], all[2*n:]
	for k, v := range v {
		m, s := o.mean.f[lo+k], o.logStd.f[lo+k]
		dm[k], ds[k] = 0, 0
		if .5*(m*m+v-1)-s > o.clamp {
			dm[k], ds[k] = o.weight*m, o.weight*(v-1)
		}
	}
	o.dmean.put(o.p, lo, dm)
	o.dlogStd.put(o.p, lo, ds)
}
