package cpu

import "github.com/calm-go/calm/nn"

// argMax forms the logits of a chunk of the vocabulary at a time and keeps the largest of each row. The chunks do not
// change the result.
type argMax struct {
	noBackward
	p         *Program
	h, w      *buf
	ids       []int32
	best      []float32
	logits    *buf // [n, chunk]
	n, d, v   int
	chunk, lo int
	width     int // of the current chunk
	product   *gemm
	cut       rows
	piece     func(worker, i int)
}

func newArgMax(c *compiler, op *nn.ArgMax) step {
	o := &argMax{p: c.Program, h: c.read(op.H), w: c.read(op.W), ids: c.ints[op.IDs.ID()], n: op.H.Rows(), d: op.H.Cols(), v: op.W.Dim(0)}
	// Logits are read again from a cache.
	o.chunk = min(o.v, max(1024, (1<<19)/o.n))
	o.logits, o.best = c.scratch(o.n*o.chunk), make([]float32, o.n)
	o.product = c.product(gemmArgs{M: o.n, K: o.d, ARow: o.d, ACol: 1, BRow: 1, BCol: o.d})
	o.piece = o.bestPiece
	return o
}

func (o *argMax) forward() error {
	for o.lo = 0; o.lo < o.v; o.lo += o.chunk {
		o.width = min(o.chunk, o.v-o.lo)
		a := &o.product.args
		a.N, a.LDC, a.A, a.C = o.width, o.width, o.h.f, o.logits.f
		a.setB(o.w, o.lo*o.d)
		o.product.run()
		o.cut = cutRows(o.n, o.width)
		o.p.eng.pool.run(o.cut.pieces(), o.piece)
	}
	return nil
}

func (o *argMax) bestPiece(_, i int) {
	lo, hi := o.cut.piece(i)
	for r := lo; r < hi; r++ {
		at, peak := o.p.eng.isa.ArgMax(o.logits.f[r*o.width : (r+1)*o.width])
		// A NaN counts as larger than any number, as within a chunk.
		if best := o.best[r]; o.lo == 0 || peak > best || peak != peak && best == best {
			o.best[r], o.ids[r] = peak, int32(o.lo+at)
		}
	}
}
