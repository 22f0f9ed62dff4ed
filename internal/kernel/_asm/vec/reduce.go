package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// reduceUnroll hides the latency of the additions.
const reduceUnroll = 4

func (g gen) reductions() {
	g.text("dot", "(a, b []float32) float32", "is dotGo: the sum of a * b.")
	a, b := pointer("a"), pointer("b")
	g.sum(length("a"), func(s step, sum VecVirtual) { g.fma(sum, s.load(a), s.load(b)) })

	g.text("sum", "(x []float32) float32", "is sumGo: the sum of x.")
	x := pointer("x")
	g.sum(length("x"), func(s step, sum VecVirtual) { g.addTo(sum, s.load(x)) })

	g.text("sumSquares", "(x []float32, shift float32) float32", "is sumSquaresGo: the sum of (x-shift)^2.")
	x, shift := pointer("x"), g.param("shift")
	g.sum(length("x"), func(s step, sum VecVirtual) {
		d := s.clear(g.sub(s.load(x), shift))
		g.fma(sum, d, d)
	})
	g.maximum()
	g.indexOf()
}

// sum finishes a kernel that returns one sum.
func (g gen) sum(n Register, body func(s step, sum VecVirtual)) {
	sums := g.zeros(reduceUnroll)
	g.loop(n, len(sums), func(s step) { body(s, sums[s.slot]) })
	g.addTo(sums[0], sums[1])
	g.addTo(sums[2], sums[3])
	g.addTo(sums[0], sums[2])
	Store(g.hsum(sums[0]), ReturnIndex(0))
	g.end()
}

func (g gen) zeros(n int) []VecVirtual {
	z := make([]VecVirtual, n)
	for i := range z {
		z[i] = g.zero()
	}
	return z
}

// maximum detects NaNs by their bits: without the sign they are above those of infinity. VMAXPS alone would lose them.
func (g gen) maximum() {
	g.text("max", "(x []float32) (largest float32, doubled uint32)",
		"returns the largest of the numbers in x and, as NaNs are above 0xFF000000 there, the largest 2 * bits(x).")
	x, n := pointer("x"), length("x")
	low := float("minusInf", float32(math.Inf(-1)))
	largest := []VecVirtual{g.set(low), g.set(low), g.set(low), g.set(low)}
	doubled := g.zeros(len(largest))
	g.loop(n, len(largest), func(s step) {
		v, i := s.fill(s.load(x), low), s.slot
		VMAXPS(v, largest[i], largest[i])
		VPMAXUD(g.iadd(v, v), doubled[i], doubled[i])
	})
	for _, i := range []int{2, 1} {
		for j := range i {
			VMAXPS(largest[i+j], largest[j], largest[j])
			VPMAXUD(doubled[i+j], doubled[j], doubled[j])
		}
	}
	Store(g.hreduce(VMAXPS, largest[0]), Return("largest"))
	bits := GP32()
	VMOVD(g.hreduce(VPMAXUD, doubled[0]), bits)
	Store(bits, Return("doubled"))
	g.end()
}

func (g gen) indexOf() {
	g.text("indexOf", "(x []float32, v float32) int", "is indexOfGo: the first i with x[i] == v, or -1.")
	x, v := pointer("x"), g.param("v")
	nan := float("nan", float32(math.NaN()))
	result, hits := GP64(), GP32()
	g.loop(length("x"), 1, func(s step) {
		e := s.fill(s.load(x), nan)
		if g.wide() {
			k := K()
			VCMPPS(U8(cmpEqual), v, e, k)
			KMOVW(k, hits)
		} else {
			m := g.vec()
			VCMPPS(U8(cmpEqual), v, e, m)
			VMOVMSKPS(m, hits)
		}
		MOVQ(s.index, result)
		TESTL(hits, hits)
		JNZ(LabelRef("found"))
	})
	MOVQ(I32(-1), result)
	Store(result, ReturnIndex(0))
	g.end()
	Label("found")
	BSFL(hits, hits)
	ADDQ(hits.As64(), result)
	Store(result, ReturnIndex(0))
	g.end()
}
