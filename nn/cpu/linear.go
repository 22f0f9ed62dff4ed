package cpu

import "github.com/calm-go/calm/nn"

// linear: Y = act(X·W^T + B + Add), one product with everything fused. Backward, with dP = dY * act'(P) formed in
// the memory of dY:
//
//	dB = sum of the rows of dP       (summed within a piece of rows, then over the pieces in order)
//	dW = dP^T·X,  dX = dP·W
//	dAdd = dP, summed over repeats; the first to contribute to dAdd shares dY's memory and copies nothing
type linear struct {
	p              *Program
	op             *nn.Linear
	x, w, b, add   *buf
	y, pre         *buf
	dy             *buf
	dx, dadd       *grad
	dw, db         *grad
	partial        *buf // [pieces, out]
	n, in, out     int  // rows of X, its columns, columns of Y
	ldw, at        int  // row length of W, offset of the window
	cut, addCut    rows
	product        *gemm
	back, backW    *gemm
	bwd, addPieces func(worker, i int)
}

func newLinear(c *compiler, op *nn.Linear) step {
	o := &linear{p: c.Program, op: op, n: op.X.Rows(), in: op.X.Cols(), out: op.Y.Cols(), ldw: op.W.Cols()}
	o.at = op.Row*o.ldw + op.Col
	o.cut = cutRows(o.n, o.out)
	o.w, o.b, o.add, o.y = c.keep(op.W), c.read(op.B), c.read(op.Add), c.write(op.Y)
	args := gemmArgs{M: o.n, N: o.out, K: o.in, ARow: o.in, ACol: 1, BRow: 1, BCol: o.ldw, LDC: o.out, LDAdd: o.out}
	if op.Add != nil {
		args.AddPeriod = op.Add.Rows()
	}
	if op.Act == nn.SiLUActivation {
		args.Act = actSiLU
	}
	o.product = c.product(args)
	o.dy = c.upstream(op.Y)
	if o.dy == nil {
		o.x = c.read(op.X)
		return o
	}
	o.planBackward(c)
	return o
}

func (o *linear) planBackward(c *compiler) {
	op := o.op
	if op.Act != nn.NoActivation {
		o.pre = c.aux(o.n * o.out)
	}
	win := window{op.Row, o.out, op.Col, o.in}
	o.dw = c.contributeWindow(op.W, c.back(), nil, win)
	if o.dw != nil {
		o.x = c.keep(op.X)
	} else {
		o.x = c.read(op.X)
	}
	o.db = c.contributeWindow(op.B, c.back(), nil, window{0, 1, op.Row, o.out})
	o.dx = c.downstream(op.X)
	var alias *buf
	if op.Add != nil && op.Add.Size() == op.Y.Size() && op.Add.Root() != op.X.Root() {
		alias = o.dy
	}
	o.dadd = c.pass(op.Add, alias)
	if op.Act != nn.NoActivation || o.db != nil {
		o.partial = c.scratchBack(o.cut.pieces() * o.out)
	}
	o.bwd = o.activationGrad
	if o.dadd != nil {
		o.addCut = cutRows(op.Add.Rows(), o.out)
		o.addPieces = o.addGrad
	}
	o.back = newGemm(c.eng.pool, c.eng.isa, gemmArgs{M: o.n, N: o.in, K: o.out,
		ARow: o.out, ACol: 1, BRow: o.ldw, BCol: 1, LDC: o.in})
	o.backW = newGemm(c.eng.pool, c.eng.isa, gemmArgs{M: o.out, N: o.in, K: o.n,
		ARow: 1, ACol: o.out, BRow: o.in, BCol: 1, LDC: o.ldw})
}

func (o *linear) forward() error {
	a := &o.product.args
	a.A, a.C = o.x.f, o.y.f
	a.setB(o.w, o.at)
	if o.b != nil {
		a.Bias = o.b.f[o.op.Row : o.op.Row+o.out]
	}
	if o.add != nil {
		a.Add = o.add.f
	}
	if o.pre != nil {
		a.Pre = o.pre.f
	}
	o.product.run()
	return nil
}

func (o *linear) backward() {
	if o.dy == nil {
		return
	}
	pool := o.p.eng.pool
	if o.partial != nil {
		pool.run(o.cut.pieces(), o.bwd)
	}
	if o.db != nil {
		o.sumBias()
	}
	if o.dw != nil {
		a := &o.backW.args
		a.A, a.B, a.C, a.Accumulate = o.dy.f, o.x.f, o.dw.f[o.at:], o.dw.adds(o.p)
	}
	if o.dx != nil {
		a := &o.back.args
		a.A, a.B, a.C, a.Accumulate = o.dy.f, o.w.f[o.at:], o.dx.f, o.dx.adds(o.p)
	}
	switch {
	case o.dw != nil && o.dx != nil:
		o.backW.runWith(o.back)
	case o.dw != nil:
		o.backW.run()
	case o.dx != nil:
		o.back.run()
	}
	if o.dadd != nil && o.dadd.buf != nil {
		pool.run(o.addCut.pieces(), o.addPieces)
	}
}

// activationGrad turns dY into dP and sums the rows of a piece.
func (o *linear) activationGrad(_, i int) {
	lo, hi := o.cut.piece(i)
	isa, d := o.p.eng.isa, o.out
	if o.pre != nil {
		dy := o.dy.f[lo*d : hi*d]
		isa.SiLUGrad(dy, o.pre.f[lo*d:hi*d], dy)
	}
	if o.db == nil {
		return
	}
	sum := o.partial.f[i*d : (i+1)*d]
	copy(sum, o.dy.f[lo*d:(lo+1)*d])
	for r := lo + 1; r < hi; r++ {
		isa.Add(sum, sum, o.dy.f[r*d:(r+1)*d])
	}
}

func (o *linear) sumBias() {
	db := o.db.f[o.op.Row : o.op.Row+o.out]
	sumPartials(o.p.eng.isa, db, o.partial.f, o.db.adds(o.p))
}

// addGrad sums dP over the rows that share a row of Add.
func (o *linear) addGrad(_, i int) {
	lo, hi := o.addCut.piece(i)
	isa, d, period := o.p.eng.isa, o.out, o.op.Add.Rows()
	for r := lo; r < hi; r++ {
		dst, src := o.dadd.f[r*d:(r+1)*d], o.dy.f[r*d:(r+1)*d]
		if o.dadd.adds(o.p) {
			isa.Add(dst, dst, src)
		} else {
			copy(dst, src)
		}
		for s := r + period; s < o.n; s += period {
			isa.Add(dst, dst, o.dy.f[s*d:(s+1)*d])
		}
	}
}
