package cpu

import "github.com/calm-go/calm/nn"

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
	sums           []float64 // by piece
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

// variances returns std^2 of a piece, in scratch memory.
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
