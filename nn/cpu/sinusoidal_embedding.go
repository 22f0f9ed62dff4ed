package cpu

import (
	"math"

	"github.com/calm-go/calm/nn"
)

// sinusoids is a table of the embeddings of whole times, of one width. The programs of one engine share it.
type sinusoids struct {
	width       int
	frequencies []float64 // [width/2]
	rows        []float32 // [tabled, width]
}

// tabled is how many times a table holds, from 0 on: heads use no others.
const tabled = 1001

func (e *Engine) sinusoidsOf(width int) *sinusoids {
	if e.sinusoids[width] == nil {
		w := &sinusoids{width, make([]float64, width/2), make([]float32, tabled*width)}
		for j := range w.frequencies {
			w.frequencies[j] = math.Pow(10000, -float64(j)/float64(len(w.frequencies)))
		}
		for t := range tabled {
			w.compute(w.rows[t*width:(t+1)*width], float64(t))
		}
		e.sinusoids[width] = w
	}
	return e.sinusoids[width]
}

// compute writes the embedding of one time.
func (w *sinusoids) compute(dst []float32, t float64) {
	for j, f := range w.frequencies {
		sin, cos := math.Sincos(t * f)
		dst[j], dst[len(w.frequencies)+j] = float32(cos), float32(sin)
	}
}

// sinusoidalEmbedding copies the rows of times in the table, and computes those of other times.
type sinusoidalEmbedding struct {
	noBackward
	p     *Program
	t, y  *buf
	scale float32
	table *sinusoids
	cut   rows
	fwd   func(worker, i int)
}

func newSinusoidalEmbedding(c *compiler, op *nn.SinusoidalEmbedding) step {
	o := &sinusoidalEmbedding{p: c.Program, t: c.read(op.T), y: c.write(op.Y), scale: op.Scale, table: c.eng.sinusoidsOf(op.Y.Cols()), cut: cutRows(op.Y.Rows(), op.Y.Cols())}
	o.fwd = func(_, i int) {
		lo, hi := o.cut.piece(i)
		w := o.table.width
		for r := lo; r < hi; r++ {
			y, t := o.y.f[r*w:(r+1)*w], math.Floor(float64(o.scale*o.t.f[r]))
			if t >= 0 && t < tabled {
				copy(y, o.table.rows[int(t)*w:])
			} else {
				o.table.compute(y, t)
			}
		}
	}
	return o
}

func (o *sinusoidalEmbedding) forward() error {
	o.p.eng.pool.run(o.cut.pieces(), o.fwd)
	return nil
}
