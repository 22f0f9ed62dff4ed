package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// packRows copies rows into panels side by side, as wide as the tile's columns for B, or its rows for A. If the
// distance between panels is their width, it copies a matrix.
//
//	for l := range k {
//		for p := range panels {
//			copy(dst[p*panel+l*step:][:width], src[l*ld+p*width:])
//		}
//	}
//
// It prefetches rows, since the processor does not prefetch rows that are far apart.
func (v isa) packRows(width int) {
	const ahead = 8 // rows
	v.function(fmt.Sprintf("packRows%dx", width), "(dst *float32, panel, step int, src *float32, ld, panels, k int)",
		fmt.Sprintf("copies k > 0 rows into panels > 0 panels of %d columns.", width), "panel, step and ld are in bytes.")
	dst, panel, step := arg("dst"), arg("panel"), arg("step")
	src, ld, k := arg("src"), arg("ld"), arg("k")
	far, to, from, n := GP64(), GP64(), GP64(), GP64()
	IMUL3Q(U8(ahead), ld, far)
	Label("row")
	MOVQ(src, from)
	MOVQ(dst, to)
	Load(Param("panels"), n)
	Label("panel")
	for line := 0; line < 4*width; line += 64 {
		PREFETCHT0(Mem{Base: from, Index: far, Scale: 1, Disp: line})
	}
	copyVectors(v, to, from, width)
	ADDQ(U32(4*width), from)
	ADDQ(panel, to)
	DECQ(n)
	JNZ(LabelRef("panel"))
	ADDQ(ld, src)
	ADDQ(step, dst)
	DECQ(k)
	JNZ(LabelRef("row"))
	finish()
}

// copyVectors copies width elements, an even number, in vectors of this width and narrower.
func copyVectors(v isa, to, from reg.GPVirtual, width int) {
	for i, done := 0, 0; done < width; i++ {
		r, left := v.vectors[i], width-done
		switch {
		case left >= v.lanes:
			VMOVUPS(at(from, 4*done), r)
			VMOVUPS(r, at(to, 4*done))
			done += v.lanes
		case left >= 8:
			VMOVUPS(at(from, 4*done), lowHalf(r))
			VMOVUPS(lowHalf(r), at(to, 4*done))
			done += 8
		case left >= 4:
			VMOVUPS(at(from, 4*done), quarter(r))
			VMOVUPS(quarter(r), at(to, 4*done))
			done += 4
		default:
			VMOVSD(at(from, 4*done), quarter(r))
			VMOVSD(quarter(r), at(to, 4*done))
			done += 2
		}
	}
}

// transpose8 transposes blocks of 8 by 8.
//
//	for l := range 8 * blocks {
//		for j := range 8 {
//			dst[l*width+j] = src[j*ld+l]
//		}
//	}
//
// Halves of rows 0..3 and 4..7 are loaded side by side, so that what remains is two transpositions of 4 by 4 in each
// half of the registers, which no instruction has to cross.
func transpose8() {
	avx2.function("transpose8x", "(dst *float32, width int, src *float32, ld, blocks int)",
		"transposes 8 rows of 8*blocks elements, blocks > 0, into rows width apart. width and ld are in bytes.")
	dst, width := arg("dst"), arg("width")
	src, ld, blocks := arg("src"), arg("ld"), arg("blocks")
	src4, ld3, width3 := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	LEAQ(Mem{Base: src, Index: ld, Scale: 4}, src4)
	LEAQ(Mem{Base: width, Index: width, Scale: 2}, width3)
	rows, free := take(avx2.vectors, 8)
	mixed, _ := take(free, 8)

	row := func(base, stride, stride3 reg.GPVirtual, i, disp int) Mem {
		m := Mem{Base: base, Disp: disp}
		switch i {
		case 1, 2:
			m.Index, m.Scale = stride, uint8(i)
		case 3:
			m.Index, m.Scale = stride3, 1
		}
		return m
	}
	Label("block")
	for half := range 2 { // elements 0..3, 4..7
		for j := range 4 {
			r := rows[4*half+j]
			VMOVUPS(row(src, ld, ld3, j, 16*half), quarter(r))
			VINSERTF128(U8(1), row(src4, ld, ld3, j, 16*half), r, r)
		}
	}
	for half := range 2 {
		r, m := rows[4*half:], mixed[4*half:]
		VUNPCKLPS(r[1], r[0], m[0]) // r0[0] r1[0] r0[1] r1[1]
		VUNPCKHPS(r[1], r[0], m[1]) // r0[2] r1[2] r0[3] r1[3]
		VUNPCKLPS(r[3], r[2], m[2])
		VUNPCKHPS(r[3], r[2], m[3])
		VUNPCKLPD(m[2], m[0], r[0])
		VUNPCKHPD(m[2], m[0], r[1])
		VUNPCKLPD(m[3], m[1], r[2])
		VUNPCKHPD(m[3], m[1], r[3])
		for l := range 4 {
			VMOVUPS(r[l], row(dst, width, width3, l, 0))
		}
		LEAQ(Mem{Base: dst, Index: width, Scale: 4}, dst)
	}
	ADDQ(U8(32), src)
	ADDQ(U8(32), src4)
	DECQ(blocks)
	JNZ(LabelRef("block"))
	finish()
}
