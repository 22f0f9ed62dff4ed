package cpu

import (
	"math"

	"github.com/calm-go/calm/nn"
)

// norm is RMSNorm and LayerNorm: rows of D elements, scaled by a statistic of the row that is kept for the backward
// run. RMSNorm: Y = X*rstd*W. LayerNorm: Y = (X-mean)*rstd*W + B. The gradients of W and B are summed
// within a piece of rows, then over the pieces in order.
type norm struct {
	p            *Program
	x, w, b, y   *buf
	dy           *buf
	dx, dw, db   *grad
	stats        *buf // [rows, 2]: mean, rstd
	partW, partB *buf // [pieces, D]
	width        int
	eps          float32
	centred      bool // LayerNorm
	cut          rows
	fwd, bwd     func(worker, i int)
}

func newNorm(c *compiler, x, w, b, y *nn.Tensor, eps float32, centred bool) step {
	o := &norm{p: c.Program, x: c.keep(x), w: c.keep(w), b: c.read(b), y: c.write(y), width: x.Cols(), eps: eps, centred: centred}
	o.cut = cutRows(x.Rows(), o.width)
	o.stats = c.aux(2 * x.Rows())
	if o.dy = c.upstream(y); o.dy != nil {
		o.dx, o.dw, o.db = c.downstream(x), c.downstream(w), c.downstream(b)
	}
	if o.dw != nil {
		o.partW = c.scratchBack(o.cut.pieces() * o.width)
	}
	if o.db != nil {
		o.partB = c.scratchBack(o.cut.pieces() * o.width)
	}
	o.fwd, o.bwd = o.forwardPiece, o.backwardPiece
	return o
}

func (o *norm) forward() error {
	o.p.eng.pool.run(o.cut.pieces(), o.fwd)
	return nil
}

func (o *norm) forwardPiece(_, i int) {
	lo, hi := o.cut.piece(i)
	isa, d := o.p.eng.isa, o.width
	for r := lo; r < hi; r++ {
		x, y := o.x.f[r*d:(r+1)*d], o.y.f[r*d:(r+1)*d]
		var mean, rstd float32
		switch {
		case !o.centred:
			rstd = float32(1 / math.Sqrt(float64(isa.SumSquares(x))/float64(d)+float64(o.eps)))
			isa.RMSNorm(y, x, o.w.f, rstd)
		case o.w == nil:
			mean, rstd = isa.MeanRstd(x, o.eps)
			isa.LayerNorm(y, x, nil, nil, mean, rstd)
		default:
			mean, rstd = isa.MeanRstd(x, o.eps)
			isa.LayerNorm(y, x, o.w.f, o.b.f, mean, rstd)
		}
		o.stats.f[2*r], o.stats.f[2*r+1] = mean, rstd
	}
}

func (o *norm) backward() {
	if o.dy == nil {
		return
	}
	o.p.eng.pool.run(o.cut.pieces(), o.bwd)
	if o.dw != nil {
		sumPartials(o.p.eng.isa, o.dw.f, o.partW.f, o.dw.adds(o.p))
	}
	if o.db != nil {
		sumPartials(o.p.eng.isa, o.db.f, o.partB.f, o.db.adds(o.p))
	}
}

func (o *norm) backwardPiece(worker, i int) {
	lo, hi := o.cut.piece(i)
	isa, d := o.p.eng.isa, o.width
	dw, db := o.partial(o.partW, i), o.partial(o.partB, i)
	var w []float32
	if o.w != nil {
		w = o.w.f
	}
	tmp := o.p.eng.pool.scratchAtLeast(worker, d)[:d]
	for r := lo; r < hi; r++ {
		x, dy := o.x.f[r*d:(r+1)*d], o.dy.f[r*d:(r+1)*d]
		dx := tmp
		if o.dx != nil && !o.dx.adds(o.p) {
			dx = o.dx.f[r*d : (r+1)*d]
		}
		if o.centred {
			isa.LayerNormGrad(dx, dw, db, x, w, dy, o.stats.f[2*r], o.stats.f[2*r+1])
		} else {
			isa.RMSNormGrad(dx, dw, x, w, dy, o.stats.f[2*r+1])
		}
		if o.dx != nil && o.dx.adds(o.p) {
			into := o.dx.f[r*d : (r+1)*d]
			isa.Add(into, into, dx)
		}
	}
}

// partial returns the cleared sum of piece i.
func (o *norm) partial(b *buf, i int) []float32 {
	if b == nil {
		return nil
	}
	sum := b.f[i*o.width : (i+1)*o.width]
	clear(sum)
	return sum
}
