package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

func one() literal { return float("one", 1) }

// exp is exp32:
//
//	t := float32(x*log2E) + roundInt
//	n := t - roundInt
//	r := x - n*ln2High - n*ln2Low
//	p := (((((expC6*r+expC5)*r+expC4)*r+expC3)*r+expC2)*r+1)*r + 1
//	return Float32frombits(bits(p) + bits(t)<<23)
func (g gen) exp(x VecVirtual) VecVirtual {
	t := g.set(goFloat("log2E"))
	g.horner(t, x, goFloat("roundInt"))
	n := g.sub(t, goFloat("roundInt"))
	r := g.copy(x)
	g.fnma(r, n, goFloat("ln2High"))
	g.fnma(r, n, goFloat("ln2Low"))
	p := g.set(goFloat("expC6"))
	for _, c := range []literal{goFloat("expC5"), goFloat("expC4"), goFloat("expC3"), goFloat("expC2"), one(), one()} {
		g.horner(p, r, c)
	}
	e := g.iadd(p, g.shl(t, 23))
	e = g.keep(e, x, cmpGreatEq, goFloat("expMin"))
	beyond := g.max(g.set(float("inf", float32(math.Inf(1)))), x) // +Inf, or NaN where x is
	return g.choose(beyond, e, x, cmpNotLE, goFloat("expMax"))
}

// sigmoidDenominator is 1 + exp32(-x).
func (g gen) sigmoidDenominator(x VecVirtual) VecVirtual {
	return g.add(g.exp(g.xor(x, bits("sign", 1<<31))), one())
}

// siluGrad returns sigmoid(x) and r (1 + x (1 - r)), r being the former.
func (g gen) siluGrad(x VecVirtual) (r, grad VecVirtual) {
	unit := g.set(one())
	r = g.div(unit, g.sigmoidDenominator(x))
	grad = g.sub(unit, r)
	g.horner(grad, x, one())
	return r, g.mul(grad, r)
}

func (g gen) exponentials() {
	g.text("exp", "(dst, src []float32)", "is expGo: dst = exp32(src).")
	dst, src := pointer("dst"), pointer("src")
	g.loop(length("dst"), 2, func(s step) { s.store(g.exp(s.load(src)), dst) })
	g.end()

	g.text("expSum", "(dst, src []float32, shift float32) float32",
		"is expSumGo: dst = exp32(src-shift); it returns the sum of dst.")
	dst, src = pointer("dst"), pointer("src")
	shift, sums := g.param("shift"), []VecVirtual{g.zero(), g.zero()}
	g.loop(length("dst"), len(sums), func(s step) {
		e := g.exp(g.sub(s.load(src), shift))
		s.store(e, dst)
		g.addTo(sums[s.slot], s.clear(e))
	})
	g.addTo(sums[0], sums[1])
	Store(g.hsum(sums[0]), ReturnIndex(0))
	g.end()

	g.text("silu", "(dst, x []float32)", "is siluGo: dst = x / (1 + exp32(-x)).")
	dst, x := pointer("dst"), pointer("x")
	g.loop(length("dst"), 1, func(s step) {
		v := s.load(x)
		s.store(g.div(v, g.sigmoidDenominator(v)), dst)
	})
	g.end()

	g.text("siluGrad", "(dx, x, dy []float32)", "is siluGradGo: dx = dy * (r * (1 + x*(1-r))), r = sigmoid32(x).")
	dx, x, dy := pointer("dx"), pointer("x"), pointer("dy")
	g.loop(length("dx"), 1, func(s step) {
		_, grad := g.siluGrad(s.load(x))
		s.store(g.mul(grad, s.load(dy)), dx)
	})
	g.end()

	g.text("swiGLU", "(dst, gate, up []float32)", "is swiGLUGo: dst = gate / (1 + exp32(-gate)) * up.")
	dst, gate, up := pointer("dst"), pointer("gate"), pointer("up")
	g.loop(length("dst"), 1, func(s step) {
		v := s.load(gate)
		s.store(g.mul(g.div(v, g.sigmoidDenominator(v)), s.load(up)), dst)
	})
	g.end()

	g.text("swiGLUGrad", "(dgate, dup, gate, up, dy []float32)",
		"is swiGLUGradGo: dgate = dy * up * (r * (1 + gate*(1-r))), dup = dy * (gate * r), r = sigmoid32(gate).")
	dgate, dup, gate, up, dy := pointer("dgate"), pointer("dup"), pointer("gate"), pointer("up"), pointer("dy")
	g.loop(length("dgate"), 1, func(s step) {
		v := s.load(gate)
		r, grad := g.siluGrad(v)
		d := s.load(dy)
		du := g.mul(d, s.load(up))
		s.store(g.mul(du, grad), dgate)
		s.store(g.mul(d, g.mul(v, r)), dup)
	})
	g.end()
}
