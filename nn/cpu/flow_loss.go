package cpu

import "github.com/calm-go/calm/nn"

// flowLoss forms, in training, the gradient of the velocity in the forward run:
//
//	dV = w 2/Z (V - (Target - Noise))
type flowLoss struct {
	rowLoss
	v, target, noise *buf
	loss, terms      *buf
	dv               *grad
	scale            float64 // weight of the loss
	z                int
}

func newFlowLoss(c *compiler, op *nn.FlowLoss) step {
	o := &flowLoss{rowLoss: rowLoss{p: c.Program, weight: c.read(op.Weight), n: op.V.Dim(0), np: op.V.Dim(1)},
		v: c.read(op.V), target: c.read(op.Target), noise: c.read(op.Noise), loss: c.write(op.Loss), terms: c.write(op.Terms), z: op.V.Cols()}
	if w := c.graph.LossWeight(op.Loss); w != 0 && c.training {
		o.dv, o.scale = c.early(op.V), float64(w)
	}
	o.cut = cutRows(op.V.Rows(), o.z)
	o.piece = o.rows
	return o
}

func (o *flowLoss) forward() error {
	o.p.eng.pool.run(o.cut.pieces(), o.piece)
	o.loss.f[0] = o.mean(o.terms.f)
	return nil
}

func (o *flowLoss) rows(worker, i int) {
	lo, hi := o.cut.piece(i)
	isa, z, count := o.p.eng.isa, o.z, o.scale*o.perWeight()
	d := o.p.eng.pool.scratchAtLeast(worker, z)[:z]
	for r := lo; r < hi; r++ {
		at := r * z
		isa.Add(d, o.v.f[at:at+z], o.noise.f[at:at+z])
		isa.Axpy(d, -1, o.target.f[at:at+z])
		o.terms.f[r] = isa.SumSquares(d) / float32(z)
		isa.Scale(d, float32(count*float64(weightOf(o.weight, r))*2/float64(z)), d)
		o.dv.put(o.p, at, d)
	}
}
