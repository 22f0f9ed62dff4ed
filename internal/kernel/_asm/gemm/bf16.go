package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// widenRow makes float32 of bfloat16 or int8.
//
//	for i := range lanes * vectors {
//		dst[i] = float32(src[i])
//	}
func (v isa) widenRow(f format) {
	v.function("widen"+f.name, fmt.Sprintf("(dst *float32, src *%s, vectors int)", f.goType), fmt.Sprintf("makes float32 of vectors > 0 vectors of %s.", f.what))
	dst, src, n := arg("dst"), arg("src"), arg("vectors")
	r := v.vectors[0]
	Label("vector")
	v.widen(f, at(src, 0), r)
	VMOVUPS(r, at(dst, 0))
	ADDQ(U8(f.size*v.lanes), src)
	ADDQ(U8(v.bytes()), dst)
	DECQ(n)
	JNZ(LabelRef("vector"))
	finish()
}

// roundRow makes bfloat16 of float32.
//
//	for i := range lanes * vectors {
//		u := bits(src[i])
//		dst[i] = (u + 0x7fff + u>>16&1) >> 16
//		if src[i] != src[i] {
//			dst[i] = u>>16 | 0x40
//		}
//	}
func (v isa) roundRow() {
	v.function("round", "(dst *uint16, src *float32, vectors int)", "makes bfloat16 of vectors > 0 vectors of float32.")
	dst, src, n := arg("dst"), arg("src"), arg("vectors")
	constants, free := take(v.vectors, 3)
	for i, c := range []uint32{1, 0x7fff, 0x40} {
		word := GP32()
		MOVL(U32(c), word)
		VMOVD(word, quarter(constants[i]))
		VPBROADCASTD(quarter(constants[i]), constants[i])
	}
	one, half, quiet := constants[0], constants[1], constants[2]
	u, sum, nan, mask := free[0], free[1], free[2], free[3]
	Label("vector")
	VMOVUPS(at(src, 0), u)
	VPSRLD(U8(16), u, nan)
	v.and(one, nan, sum)
	VPADDD(half, sum, sum)
	VPADDD(u, sum, sum)
	VPSRLD(U8(16), sum, sum)
	const unordered = 3
	if v.lanes == 16 {
		VPORD(quiet, nan, nan)
		VCMPPS(U8(unordered), u, u, reg.K1)
		VMOVDQA32(nan, reg.K1, sum)
		VPMOVDW(sum, at(dst, 0))
	} else {
		VPOR(quiet, nan, nan)
		VCMPPS(U8(unordered), u, u, mask)
		VBLENDVPS(mask, nan, sum, sum)
		VEXTRACTF128(U8(1), sum, quarter(u))
		VPACKUSDW(quarter(u), quarter(sum), quarter(sum))
		VMOVUPS(quarter(sum), at(dst, 0))
	}
	ADDQ(U8(v.bytes()), src)
	ADDQ(U8(2*v.lanes), dst)
	DECQ(n)
	JNZ(LabelRef("vector"))
	finish()
}

func (v isa) and(a, b, r reg.VecPhysical) {
	if v.lanes == 16 {
		VPANDD(a, b, r)
		return
	}
	VPAND(a, b, r)
}
