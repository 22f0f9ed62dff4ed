package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

func (g gen) norms() {
	g.text("rmsNorm", "(dst, x, w []float32, rstd float32)", "is rmsNormGo: dst = x * rstd * w.")
	dst, x, w, rstd := pointer("dst"), pointer("x"), pointer("w"), g.param("rstd")
	g.loop(length("dst"), 2, func(s step) { s.store(g.mul(g.mul(s.load(x), rstd), s.load(w)), dst) })
	g.end()

	g.text("normalize", "(dst, x []float32, mean, rstd float32)", "is normalizeGo: dst = (x-mean) * rstd.")
	dst, x = pointer("dst"), pointer("x")
	mean, rstd := g.param("mean"), g.param("rstd")
	g.loop(length("dst"), 2, func(s step) { s.store(g.mul(g.sub(s.load(x), mean), rstd), dst) })
	g.end()

	g.text("layerNorm", "(dst, x, w, b []float32, mean, rstd float32)",
		"is layerNormGo: dst = (x-mean) * rstd * w + b.")
	dst, x, w, b := pointer("dst"), pointer("x"), pointer("w"), pointer("b")
	mean, rstd = g.param("mean"), g.param("rstd")
	g.loop(length("dst"), 2, func(s step) {
		h := g.mul(g.sub(s.load(x), mean), rstd)
		g.horner(h, s.load(w), s.load(b))
		s.store(h, dst)
	})
	g.end()

	g.text("normGradWeight", "(dw, dy, x []float32, mean, rstd float32)",
		"is normGradWeightGo: dw += dy * ((x-mean) * rstd).")
	dw, dy, x := pointer("dw"), pointer("dy"), pointer("x")
	mean, rstd = g.param("mean"), g.param("rstd")
	g.loop(length("dw"), 2, func(s step) {
		s.storeSum(dw, s.load(dy), g.mul(g.sub(s.load(x), mean), rstd))
	})
	g.end()

	for _, plain := range []bool{false, true} {
		g.normSums(plain)
		g.normGrad(plain)
	}
}

// normSums and normGrad have two versions: with the weight w, and plain, without it.
func (g gen) normSums(plain bool) {
	const results = ", mean float32) (sum, dot float32)"
	if plain {
		g.text("normSumsPlain", "(x, dy []float32"+results,
			"is normSumsPlainGo: the sums of dy and of dy * (x-mean).")
	} else {
		g.text("normSums", "(x, w, dy []float32"+results,
			"is normSumsGo: the sums of w * dy and of w * dy * (x-mean).")
	}
	gradient := g.weighted(plain)
	x, mean := pointer("x"), g.param("mean")
	sums, dots := g.zeros(2), g.zeros(2)
	g.loop(length("x"), len(sums), func(s step) {
		v := gradient(s)
		g.addTo(sums[s.slot], v)
		g.fma(dots[s.slot], v, g.sub(s.load(x), mean))
	})
	g.addTo(sums[0], sums[1])
	g.addTo(dots[0], dots[1])
	Store(g.hsum(sums[0]), Return("sum"))
	Store(g.hsum(dots[0]), Return("dot"))
	g.end()
}

func (g gen) normGrad(plain bool) {
	const factors = ", fg, fx, mean, one float32)"
	if plain {
		g.text("normGradPlain", "(dx, x, dy []float32"+factors,
			"is normGradPlainGo: dx = dy*fg + ((x-mean)*fx + one).")
	} else {
		g.text("normGrad", "(dx, x, w, dy []float32"+factors,
			"is normGradGo: dx = w*dy*fg + ((x-mean)*fx + one).")
	}
	gradient := g.weighted(plain)
	dx, x := pointer("dx"), pointer("x")
	fg, fx, mean, one := g.param("fg"), g.param("fx"), g.param("mean"), g.param("one")
	g.loop(length("dx"), 1, func(s step) {
		d := g.sub(s.load(x), mean)
		g.horner(d, fx, one)
		g.fma(d, gradient(s), fg)
		s.store(d, dx)
	})
	g.end()
}

// weighted returns what loads w * dy, or dy alone.
func (g gen) weighted(plain bool) func(s step) VecVirtual {
	dy := pointer("dy")
	if plain {
		return func(s step) VecVirtual { return s.load(dy) }
	}
	w := pointer("w")
	return func(s step) VecVirtual { return g.mul(s.load(w), s.load(dy)) }
}

// adamW is adamWGo:
//
//	d := g * gradScale
//	m += beta1C * (d - m)
//	v = beta2*v + beta2C*d*d
//	p = p*decay - stepSize*m/(sqrt(v)*invBC2+eps)
func (g gen) adamW() {
	g.text("adamW", "(p, g, m, v []float32, gradScale, decay, beta1C, beta2, beta2C, invBC2, eps, stepSize float32)", "is adamWGo.")
	p, gr, m, v := pointer("p"), pointer("g"), pointer("m"), pointer("v")
	gradScale, decay, beta1C, beta2 := g.param("gradScale"), g.param("decay"), g.param("beta1C"), g.param("beta2")
	beta2C, invBC2, eps, stepSize := g.param("beta2C"), g.param("invBC2"), g.param("eps"), g.param("stepSize")
	g.loop(length("p"), 1, func(s step) {
		d := g.mul(s.load(gr), gradScale)
		mi, vi := s.load(m), s.load(v)
		g.fma(mi, beta1C, g.sub(d, mi))
		vi = g.mul(vi, beta2)
		g.fma(vi, g.mul(d, beta2C), d)
		s.store(mi, m)
		s.store(vi, v)
		root := g.sqrt(vi)
		g.horner(root, invBC2, eps)
		q := g.div(g.mul(mi, stepSize), root)
		pi := s.load(p)
		g.mulSub(pi, decay, q)
		s.store(pi, p)
	})
	g.end()
}
