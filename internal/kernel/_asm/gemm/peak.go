package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// fmaPeak keeps the multipliers busy from registers: twelve chains cover the latency of four cycles at two a cycle.
//
//	for range iterations {
//		for i := range 12 {
//			s[i] = fma(x, x, s[i])
//		}
//	}
func (v isa) fmaPeak() {
	v.function("fmaPeak", "(iterations int)", "runs iterations > 0 rounds of twelve multiply-adds on registers.")
	n := arg("iterations")
	sums, free := take(v.vectors, 12)
	x := free[0]
	for _, r := range append(sums[:12:12], x) {
		v.zero(r)
	}
	Label("round")
	for _, s := range sums {
		VFMADD231PS(x, x, s)
	}
	DECQ(n)
	JNZ(LabelRef("round"))
	finish()
}

// readSum adds blocks of eight vectors.
//
//	for l := range 8 * lanes * blocks {
//		s[l%(8*lanes)] += x[l]
//	}
//	return sum(s)
func (v isa) readSum() {
	v.function("readSum", "(x *float32, blocks int) float32", "adds up blocks > 0 of eight vectors.")
	x, n := arg("x"), arg("blocks")
	sums, free := take(v.vectors, 8)
	for _, s := range sums {
		v.zero(s)
	}
	Label("block")
	for i, s := range sums {
		VADDPS(at(x, i*v.bytes()), s, s)
	}
	ADDQ(U32(8*v.bytes()), x)
	DECQ(n)
	JNZ(LabelRef("block"))
	for d := 4; d > 0; d /= 2 {
		for i := range d {
			VADDPS(sums[i+d], sums[i], sums[i])
		}
	}
	v.sumLanes(sums[0], free[0])
	Store(quarter(sums[0]), ReturnIndex(0))
	finish()
}

// pause is the hint of a waiting loop.
func pause() {
	TEXT("Pause", NOSPLIT, "func()")
	Doc("Pause leaves the core's resources to its other thread for some tens of cycles.")
	PAUSE()
	RET()
}
