package cpu

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/nn"
)

// ignored is the label of a row that is not counted.
const ignored = -100

// crossEntropy forms the logits of a chunk of rows, turns them into probabilities, loss and, in training, into their
// own gradient in place, and multiplies that into dH and dW before the next chunk. Nothing is computed twice, and all of
// [rows, V] is never in memory.
//
//	dlogits = weight/count * (softmax(logits) - onehot(label)),  dH = dlogits·W,  dW = dlogits^T·H
type crossEntropy struct {
	noBackward
	p                  *Program
	h, w               *buf
	labels             []int32
	loss, hits, brier  *buf
	dh, dw             *grad
	logits             *buf // [chunk, V]
	losses, briers     []float64
	hit                []bool
	n, d, v, chunk     int
	weight, scale      float32
	lo, hi             int  // the current chunk
	cut                rows // of the chunk
	product, back, grw *gemm
	piece              func(worker, i int)
}

// chunkRows is the number of rows whose logits are in memory at a time. It is large enough that reading the weights
// once for each chunk costs little, and small enough that the logits of a small vocabulary stay in the cache.
func chunkRows(n, v int) int { return min(n, max(512, (1<<18)/v/64*64)) }

func newCrossEntropy(c *compiler, op *nn.CrossEntropy) step {
	o := &crossEntropy{p: c.Program, h: c.read(op.H), w: c.read(op.W), labels: c.ints[op.Labels.Root().ID()],
		loss: c.write(op.Loss), hits: c.write(op.Hits), brier: c.write(op.Brier),
		n: op.H.Rows(), d: op.H.Cols(), v: op.W.Dim(0)}
	o.chunk = chunkRows(o.n, o.v)
	o.logits = c.scratch(o.chunk * o.v)
	o.losses, o.briers, o.hit = make([]float64, o.n), make([]float64, o.n), make([]bool, o.n)
	if o.weight = c.graph.LossWeight(op.Loss); o.weight != 0 && c.training {
		o.dh, o.dw = c.early(op.H), c.early(op.W)
	}
	pool, isa := c.eng.pool, c.eng.isa
	o.product = newGemm(pool, isa, gemmArgs{N: o.v, K: o.d, ARow: o.d, ACol: 1, BRow: 1, BCol: o.d, LDC: o.v})
	o.back = newGemm(pool, isa, gemmArgs{N: o.d, K: o.v, ARow: o.v, ACol: 1, BRow: o.d, BCol: 1, LDC: o.d})
	o.grw = newGemm(pool, isa, gemmArgs{M: o.v, N: o.d, ARow: 1, ACol: o.v, BRow: o.d, BCol: 1, LDC: o.d})
	o.piece = o.softmaxPiece
	return o
}

func (o *crossEntropy) forward() error {
	count, err := o.count()
	if err != nil {
		return err
	}
	if count == 0 {
		o.nothing()
		return nil
	}
	o.scale = o.weight / float32(count)
	for o.lo = 0; o.lo < o.n; o.lo = o.hi {
		o.hi = min(o.lo+o.chunk, o.n)
		o.forwardChunk()
	}
	var loss, brier, hits float64
	for i := range o.losses {
		loss, brier = loss+o.losses[i], brier+o.briers[i]
		if o.hit[i] {
			hits++
		}
	}
	o.loss.f[0], o.brier.f[0], o.hits.f[0] = float32(loss/float64(count)), float32(brier/float64(count)), float32(hits)
	return nil
}

// nothing sets the results of a run without a counted row. So a loss that is switched off takes no time.
func (o *crossEntropy) nothing() {
	o.loss.f[0], o.brier.f[0], o.hits.f[0] = 0, 0, 0
	for _, g := range []*grad{o.dh, o.dw} {
		if g != nil && !g.adds(o.p) {
			clear(g.f)
		}
	}
}

func (o *crossEntropy) count() (int, error) {
	count := 0
	for i, l := range o.labels {
		if l == ignored {
			continue
		}
		if l < 0 || int(l) >= o.v {
			return 0, fmt.Errorf("cross entropy: label %d at position %d is outside the vocabulary of %d", l, i, o.v)
		}
		count++
	}
	return count, nil
}

func (o *crossEntropy) forwardChunk() {
	rows, logits := o.hi-o.lo, o.logits.f
	h := o.h.f[o.lo*o.d : o.hi*o.d]
	a := &o.product.args
	a.M, a.A, a.C = rows, h, logits
	a.setB(o.w, 0)
	o.product.run()
	o.cut = cutRows(rows, o.v)
	o.p.eng.pool.run(o.cut.pieces(), o.piece)
	if o.dh != nil {
		a := &o.back.args
		a.M, a.A, a.B, a.C, a.Accumulate = rows, logits, o.w.f, o.dh.f[o.lo*o.d:o.hi*o.d], o.dh.adds(o.p)
		o.back.run()
	}
	if o.dw != nil {
		a := &o.grw.args
		a.K, a.A, a.B, a.C, a.Accumulate = rows, logits, h, o.dw.f, o.lo > 0 || o.dw.adds(o.p)
		o.grw.run()
	}
}

func (o *crossEntropy) softmaxPiece(_, i int) {
	lo, hi := o.cut.piece(i)
	for r := lo; r < hi; r++ {
		o.softmaxRow(r)
	}
}

// softmaxRow turns one row of logits into its loss and its gradient.
func (o *crossEntropy) softmaxRow(i int) {
	isa, r := o.p.eng.isa, o.lo+i
	z := o.logits.f[i*o.v : (i+1)*o.v]
	label := int(o.labels[r])
	if label == ignored {
		o.losses[r], o.briers[r], o.hit[r] = 0, 0, false
		clear(z)
		return
	}
	best, peak := isa.ArgMax(z)
	own := z[label]
	sum := isa.ExpSum(z, z, peak)
	p := float64(z[label]) / float64(sum)
	o.losses[r] = math.Log(float64(sum)) - float64(own-peak)
	o.briers[r] = 2*p - float64(isa.SumSquares(z))/float64(sum)/float64(sum)
	o.hit[r] = best == label
	if o.dh != nil || o.dw != nil {
		isa.Scale(z, o.scale/sum, z)
		z[label] -= o.scale
	}
}
