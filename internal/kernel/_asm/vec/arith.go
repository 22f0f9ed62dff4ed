package main

import (
	. "github.com/mmcloughlin/avo/reg"
)

func (g gen) arithmetic() {
	g.text("add", "(dst, a, b []float32)", "is addGo: dst = a + b.")
	dst, a, b := pointer("dst"), pointer("a"), pointer("b")
	g.loop(length("dst"), 4, func(s step) { s.store(g.add(s.load(a), s.load(b)), dst) })
	g.end()

	g.text("mul", "(dst, a, b []float32)", "is mulGo: dst = a * b.")
	dst, a, b = pointer("dst"), pointer("a"), pointer("b")
	g.loop(length("dst"), 4, func(s step) { s.store(g.mul(s.load(a), s.load(b)), dst) })
	g.end()

	g.text("mulAdd", "(dst, a, b []float32)", "is mulAddGo: dst += a * b.")
	dst, a, b = pointer("dst"), pointer("a"), pointer("b")
	g.loop(length("dst"), 4, func(s step) { s.storeSum(dst, s.load(a), s.load(b)) })
	g.end()

	g.text("mulAddTo", "(dst, mean, std, eps []float32)", "is mulAddToGo: dst = mean + std * eps.")
	dst, mean, std, eps := pointer("dst"), pointer("mean"), pointer("std"), pointer("eps")
	g.loop(length("dst"), 2, func(s step) {
		d := s.load(mean)
		g.fma(d, s.load(std), s.load(eps))
		s.store(d, dst)
	})
	g.end()

	g.text("axpy", "(dst []float32, alpha float32, x []float32)", "is axpyGo: dst += alpha * x.")
	dst, x, alpha := pointer("dst"), pointer("x"), g.param("alpha")
	g.loop(length("dst"), 4, func(s step) { s.storeSum(dst, alpha, s.load(x)) })
	g.end()

	g.text("scale", "(dst []float32, alpha float32, x []float32)", "is scaleGo: dst = alpha * x.")
	dst, x, alpha = pointer("dst"), pointer("x"), g.param("alpha")
	g.loop(length("dst"), 4, func(s step) { s.store(g.mul(alpha, s.load(x)), dst) })
	g.end()
}

// storeSum adds a * b to the step's elements of p.
func (s step) storeSum(p Register, a, b VecVirtual) {
	d := s.load(p)
	s.g.fma(d, a, b)
	s.store(d, p)
}

func (g gen) rotary() {
	g.text("rotary", "(dst1, dst2, x1, x2, cos, sin []float32)",
		"is rotaryGo: dst1 = x1 * cos - x2 * sin, dst2 = x2 * cos + x1 * sin.")
	dst1, dst2, x1, x2 := pointer("dst1"), pointer("dst2"), pointer("x1"), pointer("x2")
	cos, sin := pointer("cos"), pointer("sin")
	g.loop(length("dst1"), 1, func(s step) {
		a, b, c, z := s.load(x1), s.load(x2), s.load(cos), s.load(sin)
		d1, d2 := g.mul(a, c), g.mul(b, c)
		g.fnma(d1, b, z)
		g.fma(d2, a, z)
		s.store(d1, dst1)
		s.store(d2, dst2)
	})
	g.end()
}
