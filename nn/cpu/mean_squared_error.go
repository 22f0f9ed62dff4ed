package cpu

import "github.com/calm-go/calm/nn"

// meanSquaredError works on the rows that share a target at once, and forms their gradient in the forward run:
//
//	dPred[r] = w[r]/sum w * 2/Z (Pred[r] - Target[r])
type meanSquaredError struct {
	noBackward
	p                    *Program
	pred, target, weight *buf
	loss                 *buf
	dpred                *grad
	rows, targets, z     int
	scale                float64 // of the loss
	sums                 []float64
	cut                  rows
	piece                func(worker, i int)
}

func newMeanSquaredError(c *compiler, op *nn.MeanSquaredError) step {
	o := &meanSquaredError{p: c.Program, pred: c.read(op.Pred), target: c.read(op.Target), weight: c.read(op.Weight), loss: c.write(op.Loss),
		rows: op.Pred.Rows(), targets: op.Target.Rows(), z: op.Pred.Cols()}
	if w := c.graph.LossWeight(op.Loss); w != 0 && c.training {
		o.dpred, o.scale = c.early(op.Pred), float64(w)
	}
	o.sums, o.cut = make([]float64, o.targets), cutRows(o.targets, o.rows/o.targets*o.z)
	o.piece = o.targetRows
	return o
}

func (o *meanSquaredError) forward() error {
	o.p.eng.pool.run(o.cut.pieces(), o.piece)
	var sum float64
	for _, s := range o.sums {
		sum += s
	}
	o.loss.f[0] = float32(sum / totalWeight(o.weight, o.rows))
	return nil
}

func (o *meanSquaredError) targetRows(worker, i int) {
	lo, hi := o.cut.piece(i)
	isa, n, ld := o.p.eng.isa, o.rows/o.targets, o.targets*o.z
	s := o.p.eng.pool.scratchAtLeast(worker, 2*n)
	dist, coef := s[:n], s[n:2*n]
	perWeight := 2 * o.scale / totalWeight(o.weight, o.rows) / float64(o.z)
	for t := lo; t < hi; t++ {
		x, y := o.pred.f[t*o.z:], o.target.f[t*o.z:(t+1)*o.z]
		isa.DistanceSquares(dist, x, ld, y)
		o.sums[t] = 0
		for k, d2 := range dist {
			w := float64(weightOf(o.weight, k*o.targets+t))
			if w != 0 {
				o.sums[t] += w * float64(d2) / float64(o.z)
			}
			coef[k] = float32(perWeight * w)
		}
		if o.dpred == nil {
			continue
		}
		for k := range n {
			g := o.dpred.f[t*o.z+k*ld:][:o.z]
			if !o.dpred.adds(o.p) {
				clear(g)
			}
			isa.AccumulateDifferences(g, x[k*ld:][:o.z], y, o.z, coef[k:k+1])
		}
	}
}
