package cpu

import "github.com/calm-go/calm/nn"

// weightedSum: Y = sum X * Weights. The upstream gradient of the scalar is its weight in the loss:
//
//	dX = w * Weights
type weightedSum struct {
	p          *Program
	x, weights *buf
	y          *buf
	dx         *grad
	weight     float32
	cut        rows
	sums       []float64 // by piece
	fwd, bwd   func(worker, i int)
}

func newWeightedSum(c *compiler, op *nn.WeightedSum) step {
	o := &weightedSum{p: c.Program, x: c.read(op.X), weights: c.keep(op.Weights), y: c.write(op.Y), cut: cutFlat(op.X.Size())}
	o.sums = make([]float64, o.cut.pieces())
	if o.weight = c.graph.LossWeight(op.Y); o.weight != 0 {
		o.dx = c.downstream(op.X)
	}
	o.fwd = func(_, i int) {
		lo, hi := o.cut.piece(i)
		o.sums[i] = float64(o.p.eng.isa.Dot(o.x.f[lo:hi], o.weights.f[lo:hi]))
	}
	o.bwd = func(worker, i int) {
		lo, hi := o.cut.piece(i)
		dx := o.p.eng.pool.scratchAtLeast(worker, hi-lo)[:hi-lo]
		o.p.eng.isa.Scale(dx, o.weight, o.weights.f[lo:hi])
		o.dx.put(o.p, lo, dx)
	}
	return o
}

func (o *weightedSum) forward() error {
	o.p.eng.pool.run(len(o.sums), o.fwd)
	var sum float64
	for _, s := range o.sums {
		sum += s
	}
	o.y.f[0] = float32(sum)
	return nil
}

func (o *weightedSum) backward() {
	if o.dx != nil {
		o.p.eng.pool.run(len(o.sums), o.bwd)
	}
}
