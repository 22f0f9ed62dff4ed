package cpu

import "github.com/calm-go/calm/nn"

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
