package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func (g gen) distances() {
	g.distanceSquares()

	g.text("accumulateDifferences", "(g []float32, ldg int, x []float32, ldx int, y []float32, c []float32)",
		"is accumulateDifferencesGo: g[n*ldg+z] += c[n] * (x[n*ldx+z]-y[z]).")
	gr, x, y, c, n := pointer("g"), pointer("x"), pointer("y"), pointer("c"), length("c")
	ldg, ldx, z := Load(Param("ldg"), GP64()), Load(Param("ldx"), GP64()), length("y")
	SHLQ(U8(2), ldg)
	SHLQ(U8(2), ldx)
	Label("row")
	TESTQ(n, n)
	JZ(LabelRef("end"))
	factor := g.broadcast(Mem{Base: c})
	g.loop(z, 2, func(s step) { s.storeSum(gr, factor, g.sub(s.load(x), s.load(y))) })
	ADDQ(ldg, gr)
	ADDQ(ldx, x)
	ADDQ(U8(4), c)
	DECQ(n)
	JMP(LabelRef("row"))
	Label("end")
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

// hsum4 returns the sums of four vectors in an xmm register. It adds in the order of hsum, so that a row's distance does
// not depend on the rows beside it.
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
