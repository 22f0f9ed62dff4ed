package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func (g gen) distances() {
	g.distanceSquares()

	g.accumulateDifferences()

	g.text("roots", "(dst, x []float32, c float32) float32",
		"is rootsGo: dst = c / sqrt(x), 0 where x is 0; it returns the sum of sqrt(x).")
	dst, x, c := pointer("dst"), pointer("x"), g.param("c")
	g.sum(length("x"), func(s step, sum VecVirtual) {
		square := s.load(x)
		root := g.sqrt(square)
		g.addTo(sum, root)
		s.store(g.keep(g.div(c, root), square, cmpNotLE, float("zero", 0)), dst)
	})
}

// accumulateDifferences keeps four vectors of g in registers while it goes over the rows of y.
func (g gen) accumulateDifferences() {
	g.text("accumulateDifferences", "(g, x, y []float32, ldy int, c []float32)",
		"is accumulateDifferencesGo: g[z] += sum over n of c[n] * (x[z]-y[n*ldy+z]).")
	gr, x, y, c, n := pointer("g"), pointer("x"), pointer("y"), pointer("c"), length("c")
	ldy := Load(Param("ldy"), GP64())
	SHLQ(U8(2), ldy)
	row, factor, left := GP64(), GP64(), GP64()
	g.blocks(length("g"), 4, func(steps []step) {
		var sums, from []VecVirtual
		for _, s := range steps {
			sums, from = append(sums, s.load(gr)), append(from, s.load(x))
		}
		MOVQ(y, row)
		MOVQ(c, factor)
		MOVQ(n, left)
		top, done := label("row"), label("rows")
		Label(top)
		TESTQ(left, left)
		JZ(LabelRef(done))
		scale := g.broadcast(Mem{Base: factor})
		for i, s := range steps {
			g.fma(sums[i], scale, g.sub(from[i], s.load(row)))
		}
		ADDQ(ldy, row)
		ADDQ(U8(4), factor)
		DECQ(left)
		JMP(LabelRef(top))
		Label(done)
		for i, s := range steps {
			s.store(sums[i], gr)
		}
	})
	g.end()
}

// distanceSquares takes four rows at a time, which share the loads of y and the horizontal sums.
func (g gen) distanceSquares() {
	g.text("distanceSquares", "(d []float32, x []float32, ldx int, y []float32)",
		"is distanceSquaresGo: d[n] = sum over z of (x[n*ldx+z]-y[z])^2.")
	d, n, x, y, z := pointer("d"), length("d"), pointer("x"), pointer("y"), length("y")
	ldx := Load(Param("ldx"), GP64())
	SHLQ(U8(2), ldx)

	Label("four")
	CMPQ(n, U8(4))
	JL(LabelRef("one"))
	rows := []Register{x, GP64(), GP64(), GP64()}
	for i := 1; i < len(rows); i++ {
		LEAQ(Mem{Base: rows[i-1], Index: ldx, Scale: 1}, rows[i])
	}
	sums := g.zeros(len(rows))
	g.loop(z, 1, func(s step) {
		to := s.load(y)
		for i, row := range rows {
			v := g.sub(s.load(row), to)
			g.fma(sums[i], v, v)
		}
	})
	VMOVUPS(g.hsum4(sums), Mem{Base: d})
	LEAQ(Mem{Base: x, Index: ldx, Scale: 4}, x)
	ADDQ(U8(16), d)
	SUBQ(U8(4), n)
	JMP(LabelRef("four"))

	Label("one")
	TESTQ(n, n)
	JZ(LabelRef("end"))
	sum := g.zero()
	g.loop(z, 1, func(s step) {
		v := g.sub(s.load(x), s.load(y))
		g.fma(sum, v, v)
	})
	VMOVSS(g.hsum(sum), Mem{Base: d})
	ADDQ(ldx, x)
	ADDQ(U8(4), d)
	DECQ(n)
	JMP(LabelRef("one"))
	Label("end")
	g.end()
}

// hsum4 returns the sums of four vectors in an xmm register. It adds in the order of hsum, so that a row's distance
// does not depend on the other rows.
func (g gen) hsum4(v []VecVirtual) Register {
	var x [4]Register
	for i := range x {
		x[i] = g.fold(VADDPS, v[i])
	}
	VHADDPS(x[1], x[0], x[0])
	VHADDPS(x[3], x[2], x[2])
	VHADDPS(x[2], x[0], x[0])
	return x[0]
}
