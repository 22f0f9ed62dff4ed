package cpu

import (
	"math"

	"github.com/calm-go/calm/nn"
)

// waves is a table of sinusoids of a width by whole times, which the programs of one engine share.
type waves struct {
	width       int
	frequencies []float64 // [width/2]
	rows        []float32 // [tabled, width]
}

// tabled is how many times from 0 on a table holds: heads know no others.
const tabled = 1001

func (e *Engine) wavesOf(width int) *waves {
	if e.waves[width] == nil {
		w := &waves{width, make([]float64, width/2), make([]float32, tabled*width)}
		for j := range w.frequencies {
			w.frequencies[j] = math.Pow(10000, -float64(j)/float64(len(w.frequencies)))
		}
		for t := range tabled {
			w.compute(w.rows[t*width:(t+1)*width], float64(t))
		}
		e.waves[width] = w
	}
	return e.waves[width]
}

// compute writes the waves at a time.
func (w *waves) compute(dst []float32, t float64) {
	for j, f := range w.frequencies {
		sin, cos := math.Sincos(t * f)
		dst[j], dst[len(w.frequencies)+j] = float32(cos), float32(sin)
	}
}

// sinusoid looks the waves of whole times up, and computes those of others.
type sinusoid struct {
	noBackward
	p     *Program
	t, y  *buf
	scale float32
	waves *waves
	cut   rows
	fwd   func(worker, i int)
}

func newSinusoid(c *compiler, op *nn.Sinusoid) step {
	o := &sinusoid{p: c.Program, t: c.read(op.T), y: c.write(op.Y), scale: op.Scale, waves: c.eng.wavesOf(op.Y.Cols()), cut: cutRows(op.Y.Rows(), op.Y.Cols())}
	o.fwd = func(_, i int) {
		lo, hi := o.cut.piece(i)
		w := o.waves.width
		for r := lo; r < hi; r++ {
			y, t := o.y.f[r*w:(r+1)*w], math.Floor(float64(o.scale*o.t.f[r]))
			if t >= 0 && t < tabled {
				copy(y, o.waves.rows[int(t)*w:])
			} else {
				o.waves.compute(y, t)
			}
		}
	}
	return o
}

func (o *sinusoid) forward() error {
	o.p.eng.pool.run(o.cut.pieces(), o.fwd)
	return nil
}

// modulate: Y = X*(1+Scale) + Shift, rows of Shift and Scale repeating. Backward works on all rows that share one:
//
//	dX = dY*(1+Scale),  dScale = sum of dY*X,  dShift = sum of dY
//
// Where nothing repeats, dShift may share dY's memory.
type modulate struct {
	p                  *Program
	x, shift, scale, y *buf
	dy                 *buf
	dx, dshift, dscale *grad
	repeated           repeated
	cut                rows // of all rows
	fwd, bwd           func(worker, i int)
}

// repeated are n rows of which those that lie m apart share one of another tensor.
type repeated struct {
	n, m, width int
	shared      rows // the m rows, cut
}

func repeatedRows(x, part *nn.Tensor) repeated {
	return repeated{x.Rows(), part.Rows(), x.Cols(), cutRows(part.Rows(), x.Cols()*(x.Rows()/part.Rows()))}
}

// row returns row r of a tensor of the width.
func (s repeated) row(b []float32, r int) []float32 { return b[r*s.width : (r+1)*s.width] }

func newModulate(c *compiler, op *nn.Modulate) step {
	o := &modulate{p: c.Program, x: c.read(op.X), shift: c.read(op.Shift), scale: c.read(op.Scale), y: c.write(op.Y),
		repeated: repeatedRows(op.X, op.Shift), cut: cutRows(op.X.Rows(), op.X.Cols())}
	if o.dy = c.upstream(op.Y); o.dy != nil {
		c.keep(op.X)
		c.keep(op.Scale)
		o.dx, o.dscale = c.downstream(op.X), c.downstream(op.Scale)
		var alias *buf
		if o.repeated.n == o.repeated.m && op.Shift.Root() != op.X.Root() && op.Shift.Root() != op.Scale.Root() {
			alias = o.dy
		}
		o.dshift = c.pass(op.Shift, alias)
	}
	o.fwd, o.bwd = o.forwardPiece, o.backwardPiece
	return o
}

func (o *modulate) forward() error {
	o.p.eng.pool.run(o.cut.pieces(), o.fwd)
	return nil
}

func (o *modulate) forwardPiece(_, i int) {
	lo, hi := o.cut.piece(i)
	isa, s := o.p.eng.isa, o.repeated
	for r := lo; r < hi; r++ {
		x, y, m := s.row(o.x.f, r), s.row(o.y.f, r), r%s.m
		isa.MulAddTo(y, s.row(o.shift.f, m), x, s.row(o.scale.f, m))
		isa.Add(y, y, x)
	}
}

func (o *modulate) backward() {
	if o.dy != nil {
		o.p.eng.pool.run(o.repeated.shared.pieces(), o.bwd)
	}
}

func (o *modulate) backwardPiece(worker, i int) {
	lo, hi := o.repeated.shared.piece(i)
	isa, s := o.p.eng.isa, o.repeated
	tmp := o.p.eng.pool.scratchAtLeast(worker, s.width)[:s.width]
	for m := lo; m < hi; m++ {
		scale := s.row(o.scale.f, m)
		for r := m; r < s.n; r += s.m {
			dy := s.row(o.dy.f, r)
			isa.MulAddTo(tmp, dy, dy, scale)
			o.dx.put(o.p, r*s.width, tmp)
			isa.Mul(tmp, dy, s.row(o.x.f, r))
			o.dscale.putRepeat(o.p, m*s.width, tmp, r != m)
			if o.dshift != nil && o.dshift.buf != nil {
				o.dshift.putRepeat(o.p, m*s.width, dy, r != m)
			}
		}
	}
}

// putRepeat is put for one of several contributions to the same place, of which all but the first add.
func (g *grad) putRepeat(p *Program, at int, values []float32, again bool) {
	if g == nil {
		return
	}
	if dst := g.f[at : at+len(values)]; again {
		p.eng.isa.Add(dst, dst, values)
	} else {
		g.put(p, at, values)
	}
}

// gatedAdd: Y = X + Gate*H, rows of Gate repeating. Backward:
//
//	dX = dY,  dH = dY*Gate,  dGate = sum of dY*H
//
// dX may share dY's memory.
type gatedAdd struct {
	p             *Program
	x, gate, h, y *buf
	dy            *buf
	dx, dgate, dh *grad
	repeated      repeated
	cut           rows // of all rows
	fwd, bwd      func(worker, i int)
}

func newGatedAdd(c *compiler, op *nn.GatedAdd) step {
	o := &gatedAdd{p: c.Program, x: c.read(op.X), gate: c.read(op.Gate), h: c.read(op.H), y: c.write(op.Y),
		repeated: repeatedRows(op.X, op.Gate), cut: cutRows(op.X.Rows(), op.X.Cols())}
	if o.dy = c.upstream(op.Y); o.dy != nil {
		c.keep(op.Gate)
		c.keep(op.H)
		o.dh, o.dgate = c.downstream(op.H), c.downstream(op.Gate) // in the order of backwardPiece
		var alias *buf
		if op.X.Root() != op.Gate.Root() && op.X.Root() != op.H.Root() {
			alias = o.dy
		}
		o.dx = c.pass(op.X, alias)
	}
	o.fwd, o.bwd = o.forwardPiece, o.backwardPiece
	return o
}

func (o *gatedAdd) forward() error {
	o.p.eng.pool.run(o.cut.pieces(), o.fwd)
	return nil
}

func (o *gatedAdd) forwardPiece(_, i int) {
	lo, hi := o.cut.piece(i)
	isa, s := o.p.eng.isa, o.repeated
	for r := lo; r < hi; r++ {
		isa.MulAddTo(s.row(o.y.f, r), s.row(o.x.f, r), s.row(o.gate.f, r%s.m), s.row(o.h.f, r))
	}
}

func (o *gatedAdd) backward() {
	if o.dy != nil {
		o.p.eng.pool.run(o.repeated.shared.pieces(), o.bwd)
	}
}

func (o *gatedAdd) backwardPiece(worker, i int) {
	lo, hi := o.repeated.shared.piece(i)
	isa, s := o.p.eng.isa, o.repeated
	tmp := o.p.eng.pool.scratchAtLeast(worker, s.width)[:s.width]
	for m := lo; m < hi; m++ {
		gate := s.row(o.gate.f, m)
		for r := m; r < s.n; r += s.m {
			dy := s.row(o.dy.f, r)
			isa.Mul(tmp, dy, gate)
			o.dh.put(o.p, r*s.width, tmp)
			isa.Mul(tmp, dy, s.row(o.h.f, r))
			o.dgate.putRepeat(o.p, m*s.width, tmp, r != m)
			if o.dx != nil && o.dx.buf != nil {
				o.dx.put(o.p, r*s.width, dy)
			}
		}
	}
}
