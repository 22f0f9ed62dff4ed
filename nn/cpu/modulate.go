package cpu

import "github.com/calm-go/calm/nn"

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
