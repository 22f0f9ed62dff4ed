package cpu

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/nn"
)

// categorical turns the logits of a chunk of rows into probabilities, measures these and draws from them.
type categorical struct {
	noBackward
	p               *Program
	h, w, u         *buf
	labels          []int32
	logP, collision *buf
	best, draws     []int32
	logits          *buf // [chunk, V]
	n, d, v, chunk  int
	lo              int // first row of the current chunk
	product         *gemm
	row             func(worker, i int)
}

func newCategorical(c *compiler, op *nn.Categorical) step {
	o := &categorical{p: c.Program, h: c.read(op.H), w: c.read(op.W), u: c.read(op.U), labels: c.ints[op.Labels.Root().ID()],
		logP: c.write(op.LogP), collision: c.write(op.Collision), best: c.ints[op.Best.ID()], draws: c.ints[op.Draws.ID()],
		n: op.H.Rows(), d: op.H.Cols(), v: op.W.Dim(0)}
	o.chunk = chunkRows(o.n, o.v)
	o.logits = c.scratch(o.chunk * o.v)
	o.product = newGemm(c.eng.pool, c.eng.isa, gemmArgs{N: o.v, K: o.d, ARow: o.d, ACol: 1, BRow: 1, BCol: o.d, LDC: o.v})
	o.row = o.measureRow
	return o
}

func (o *categorical) forward() error {
	for i, l := range o.labels {
		if l != ignored && (l < 0 || int(l) >= o.v) {
			return fmt.Errorf("categorical: label %d at position %d is outside the vocabulary of %d", l, i, o.v)
		}
	}
	for o.lo = 0; o.lo < o.n; o.lo += o.chunk {
		rows := min(o.chunk, o.n-o.lo)
		a := &o.product.args
		a.M, a.A, a.C = rows, o.h.f[o.lo*o.d:(o.lo+rows)*o.d], o.logits.f
		a.setB(o.w, 0)
		o.product.run()
		o.p.eng.pool.run(rows, o.row)
	}
	return nil
}

func (o *categorical) measureRow(_, i int) {
	isa, r := o.p.eng.isa, o.lo+i
	z := o.logits.f[i*o.v : (i+1)*o.v]
	best, peak := isa.ArgMax(z)
	label := int(o.labels[r])
	own := float32(0)
	if label != ignored {
		own = z[label]
	}
	sum := float64(isa.ExpSum(z, z, peak))
	o.logP.f[r] = 0
	if label != ignored {
		o.logP.f[r] = float32(float64(own-peak) - math.Log(sum))
	}
	o.collision.f[r] = float32(float64(isa.SumSquares(z)) / sum / sum)
	o.best[r] = int32(best)
	for at := r; at < len(o.draws); at += o.n {
		o.draws[at] = pick(z, float64(o.u.f[at])*sum)
	}
}

// pick returns the first index at which the running sum of the weights exceeds u.
func pick(weights []float32, u float64) int32 {
	sum, last := 0.0, 0
	for i, w := range weights {
		if sum += float64(w); sum > u {
			return int32(i)
		}
		if w > 0 {
			last = i
		}
	}
	return int32(last) // rounding kept the sum below u
}
