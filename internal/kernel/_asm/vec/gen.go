package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// gen writes kernels of one vector width: 8 lanes are AVX2 with FMA, 16 are AVX-512 F, DQ.
type gen struct{ lanes int }

func (g gen) wide() bool { return g.lanes == 16 }

// vec returns a fresh vector register.
func (g gen) vec() VecVirtual {
	if g.wide() {
		return ZMM()
	}
	return YMM()
}

type instruction = func(...Op)

// op3 writes dst = a op b, where b is a register, memory or a constant.
func (g gen) op3(plain, bcst instruction, dst, a VecVirtual, b Op) VecVirtual {
	if c, ok := b.(literal); ok {
		b = c.Mem
		if g.wide() {
			plain = bcst
		}
	}
	plain(b, a, dst)
	return dst
}

// Arithmetic: the result is a fresh register, the left operand a register.

func (g gen) add(a VecVirtual, b Op) VecVirtual { return g.op3(VADDPS, VADDPS_BCST, g.vec(), a, b) }
func (g gen) sub(a VecVirtual, b Op) VecVirtual { return g.op3(VSUBPS, VSUBPS_BCST, g.vec(), a, b) }
func (g gen) mul(a VecVirtual, b Op) VecVirtual { return g.op3(VMULPS, VMULPS_BCST, g.vec(), a, b) }
func (g gen) div(a VecVirtual, b Op) VecVirtual { return g.op3(VDIVPS, VDIVPS_BCST, g.vec(), a, b) }
func (g gen) min(a VecVirtual, b Op) VecVirtual { return g.op3(VMINPS, VMINPS_BCST, g.vec(), a, b) }

// max is b where either is NaN.
func (g gen) max(a VecVirtual, b Op) VecVirtual { return g.op3(VMAXPS, VMAXPS_BCST, g.vec(), a, b) }

// addTo writes d += a.
func (g gen) addTo(d VecVirtual, a Op) { g.op3(VADDPS, VADDPS_BCST, d, d, a) }

// fma writes d += a*b.
func (g gen) fma(d, a VecVirtual, b Op) { g.op3(VFMADD231PS, VFMADD231PS_BCST, d, a, b) }

// fnma writes d -= a*b.
func (g gen) fnma(d, a VecVirtual, b Op) { g.op3(VFNMADD231PS, VFNMADD231PS_BCST, d, a, b) }

// horner writes d = d*a + c.
func (g gen) horner(d, a VecVirtual, c Op) { g.op3(VFMADD213PS, VFMADD213PS_BCST, d, a, c) }

// mulSub writes d = d*a - c.
func (g gen) mulSub(d, a VecVirtual, c Op) { g.op3(VFMSUB213PS, VFMSUB213PS_BCST, d, a, c) }

func (g gen) sqrt(a VecVirtual) VecVirtual {
	d := g.vec()
	VSQRTPS(a, d)
	return d
}

// Integers.

func (g gen) iadd(a VecVirtual, b Op) VecVirtual { return g.op3(VPADDD, VPADDD_BCST, g.vec(), a, b) }
func (g gen) isub(a VecVirtual, b Op) VecVirtual { return g.op3(VPSUBD, VPSUBD_BCST, g.vec(), a, b) }

func (g gen) xor(a VecVirtual, b Op) VecVirtual {
	if g.wide() {
		return g.op3(VPXORD, VPXORD_BCST, g.vec(), a, b)
	}
	return g.op3(func(o ...Op) { VPXOR(o[0], o[1], o[2]) }, nil, g.vec(), a, b)
}

func (g gen) and(a VecVirtual, b Op) VecVirtual {
	if g.wide() {
		return g.op3(VPANDD, VPANDD_BCST, g.vec(), a, b)
	}
	return g.op3(func(o ...Op) { VPAND(o[0], o[1], o[2]) }, nil, g.vec(), a, b)
}

func (g gen) shift(op instruction, a VecVirtual, n uint8) VecVirtual {
	d := g.vec()
	op(U8(n), a, d)
	return d
}

func (g gen) shl(a VecVirtual, n uint8) VecVirtual { return g.shift(VPSLLD, a, n) }
func (g gen) shr(a VecVirtual, n uint8) VecVirtual { return g.shift(VPSRLD, a, n) }
func (g gen) sar(a VecVirtual, n uint8) VecVirtual { return g.shift(VPSRAD, a, n) }

// toFloat converts signed integers.
func (g gen) toFloat(a VecVirtual) VecVirtual {
	d := g.vec()
	VCVTDQ2PS(a, d)
	return d
}

// Moves.

func (g gen) copy(a VecVirtual) VecVirtual {
	d := g.vec()
	VMOVAPS(a, d)
	return d
}

// set returns a register with a constant in all lanes.
func (g gen) set(c literal) VecVirtual { return g.broadcast(c.Mem) }

// broadcast returns a register with the float32 at m in all lanes.
func (g gen) broadcast(m Op) VecVirtual {
	d := g.vec()
	VBROADCASTSS(m, d)
	return d
}

// param broadcasts a float32 parameter.
func (g gen) param(name string) VecVirtual {
	b, err := Param(name).Resolve()
	if err != nil {
		fail(err)
	}
	return g.broadcast(b.Addr)
}

func (g gen) zero() VecVirtual {
	d := g.vec()
	if g.wide() {
		VPXORD(d, d, d)
	} else {
		VPXOR(d, d, d)
	}
	return d
}

// Predicates of VCMPPS.
const (
	cmpEqual   = 0x00 // false on NaN
	cmpNotLE   = 0x06 // true on NaN
	cmpGreatEq = 0x0D // false on NaN
)

// keep returns v where x pred c, else 0.
func (g gen) keep(v VecVirtual, x VecVirtual, pred uint8, c literal) VecVirtual {
	d := g.vec()
	if g.wide() {
		k := K()
		VCMPPS_BCST(U8(pred), c.Mem, x, k)
		VMOVAPS_Z(v, k, d)
		return d
	}
	m := g.vec()
	VCMPPS(U8(pred), c.Mem, x, m)
	VANDPS(v, m, d)
	return d
}

// choose returns yes where x pred c, else no.
func (g gen) choose(yes, no VecVirtual, x VecVirtual, pred uint8, c literal) VecVirtual {
	if g.wide() {
		k := K()
		VCMPPS_BCST(U8(pred), c.Mem, x, k)
		return g.pick(k, yes, no)
	}
	m := g.vec()
	VCMPPS(U8(pred), c.Mem, x, m)
	return g.pick(m, yes, no)
}

// chooseSign returns yes where the sign bit of s is set, else no.
func (g gen) chooseSign(yes, no, s VecVirtual) VecVirtual {
	if g.wide() {
		k := K()
		VPMOVD2M(s, k)
		return g.pick(k, yes, no)
	}
	return g.pick(s, yes, no)
}

// pick returns yes where the mask is set, else no.
func (g gen) pick(mask Op, yes, no VecVirtual) VecVirtual {
	d := g.vec()
	if g.wide() {
		VBLENDMPS(yes, no, mask, d)
	} else {
		VBLENDVPS(mask, yes, no, d)
	}
	return d
}

// Horizontal: the result is in the lowest lane of an xmm register.

func (g gen) hsum(v VecVirtual) Register {
	x := g.fold(VADDPS, v)
	VHADDPS(x, x, x)
	VHADDPS(x, x, x)
	return x
}

// hreduce is hsum for an operation without a horizontal form.
func (g gen) hreduce(op instruction, v VecVirtual) Register {
	x := g.fold(op, v)
	for _, order := range []uint8{0b1110, 0b0001} { // the upper half, then the second lane
		t := XMM()
		VPSHUFD(U8(order), x, t)
		op(t, x, x)
	}
	return x
}

// fold reduces a vector to its lowest four lanes.
func (g gen) fold(op instruction, v VecVirtual) Register {
	y := g.foldY(op, v)
	x := XMM()
	VEXTRACTF128(U8(1), y, x)
	op(x, y.AsX(), x)
	return x
}

// foldY reduces a vector to its lowest eight lanes.
func (g gen) foldY(op instruction, v VecVirtual) VecVirtual {
	if !g.wide() {
		return v
	}
	y := YMM()
	VEXTRACTF64X4(U8(1), v, y)
	op(y, v.AsY(), y)
	return y
}
