package main

import (
	"fmt"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dotColumns returns how many rows of W a dot kernel reads side by side: more streams from memory, as registers allow.
func (v isa) dotColumns(rows int) int {
	if v.lanes == 8 && rows > 2 {
		return 2
	}
	return 4
}

// dot multiplies rows of X by rows of W, a few at a time.
//
//	for range groups {
//		for i := range rows {
//			for j := range columns {
//				s := [lanes]float32{}
//				for l := range k {
//					s[l%lanes] = fma(x[i*ldx+l], w[j*ldw+l], s[l%lanes])
//				}
//				y[i*ldy+j] = sum(s) // or +=
//			}
//		}
//		w, y = w[columns*ldw:], y[columns:]
//	}
func (v isa) dot(rows, columns int) {
	v.function(fmt.Sprintf("dot%dx%d", rows, columns),
		"(groups, k int, x *float32, ldx int, w *float32, ldw int, y *float32, ldy int, accumulate bool)",
		fmt.Sprintf("multiplies %d rows of X by groups of %d rows of W, k > 0.", rows, columns),
		"Strides are in bytes.")
	groups, ldx, w, ldw, y := arg("groups"), arg("ldx"), arg("w"), arg("ldw"), arg("y")
	n := GP64()
	xs := pointers((rows + 2) / 3)
	ws := pointers((columns + 2) / 3)
	next := pointers(len(ws)) // the group after this one, which a processor would ask for too late by itself
	sums, free := take(v.vectors, rows*columns)
	wv, free := take(free, columns)
	xv, free := take(free, 1)
	x := xv[0]
	tail := v.tailMask(free, n)

	Label("group")
	Load(Param("x"), xs[0])
	spread(xs, ldx)
	MOVQ(w, ws[0])
	spread(ws, ldw)
	LEAQ(Mem{Base: w, Index: ldw, Scale: uint8(columns)}, next[0])
	spread(next, ldw)
	for _, s := range sums {
		v.zero(s)
	}
	step := func(load func(m Mem, r reg.VecPhysical)) {
		for j := range columns {
			load(triple(ws, ldw, j), wv[j])
		}
		for i := range rows {
			load(triple(xs, ldx, i), x)
			for j := range columns {
				VFMADD231PS(x, wv[j], sums[i*columns+j])
			}
		}
	}
	Load(Param("k"), n)
	SUBQ(U8(v.lanes), n)
	JL(LabelRef("rest"))
	Label("steps")
	step(func(m Mem, r reg.VecPhysical) { VMOVUPS(m, r) })
	for j := range columns {
		PREFETCHT0(triple(next, ldw, j))
	}
	for _, p := range slices.Concat(xs, ws, next) {
		ADDQ(U8(v.bytes()), p)
	}
	SUBQ(U8(v.lanes), n)
	JGE(LabelRef("steps"))
	Label("rest")
	ADDQ(U8(v.lanes), n)
	JZ(LabelRef("reduce"))
	step(tail)

	Label("reduce")
	for _, s := range sums {
		v.sumLanes(s, x)
	}
	v.storeDots(rows, columns, sums, y, n)
	ADDQ(U8(4*columns), y)
	LEAQ(Mem{Base: w, Index: ldw, Scale: uint8(columns)}, w)
	DECQ(groups)
	JNZ(LabelRef("group"))
	finish()
}

// storeDots puts the lowest lanes of sums into columns of y.
func (v isa) storeDots(rows, columns int, sums []reg.VecPhysical, y, p reg.GPVirtual) {
	each := func(f func(m Mem, s reg.Register)) {
		MOVQ(y, p)
		for i := range rows {
			for j := range columns {
				f(at(p, 4*j), quarter(sums[i*columns+j]))
			}
			if i < rows-1 {
				ADDQ(argAt("ldy"), p)
			}
		}
	}
	CMPB(argAt("accumulate"), U8(0))
	JE(LabelRef("overwrite"))
	each(func(m Mem, s reg.Register) { VADDSS(m, s, s) })
	Label("overwrite")
	each(func(m Mem, s reg.Register) { VMOVSS(s, m) })
}

// tailMask prepares masked loads of the last k % lanes elements of a row, zeros beyond: nothing behind a row is read.
// With all of k in whole vectors the mask is not used.
func (v isa) tailMask(free []reg.VecPhysical, tmp reg.GPVirtual) func(m Mem, r reg.VecPhysical) {
	Load(Param("k"), tmp)
	ANDQ(U8(v.lanes-1), tmp)
	if v.lanes == 16 {
		bits := GP32()
		MOVL(U32(1), bits)
		MOVL(tmp.As32(), reg.ECX)
		SHLL(reg.CL, bits)
		DECL(bits)
		KMOVW(bits, reg.K1)
		return func(m Mem, r reg.VecPhysical) { VMOVUPS_Z(m, reg.K1, r) }
	}
	mask := free[0]
	table := GP64()
	LEAQ(maskTable(), table)
	NEGQ(tmp)
	VMOVUPS(Mem{Base: table, Index: tmp, Scale: 4, Disp: 32}, mask)
	return func(m Mem, r reg.VecPhysical) { VMASKMOVPS(m, mask, r) }
}

var masks *Mem

// maskTable is 8 words of ones and 8 of zeros.
func maskTable() Mem {
	if masks == nil {
		m := GLOBL("gemmMasks", RODATA|NOPTR)
		for i := range 16 {
			word := U32(0xffffffff)
			if i >= 8 {
				word = 0
			}
			DATA(4*i, word)
		}
		masks = &m
	}
	return *masks
}

func pointers(n int) []reg.GPVirtual {
	p := make([]reg.GPVirtual, n)
	for i := range p {
		p[i] = GP64()
	}
	return p
}

// spread points p[1:] at every third row after p[0]'s.
func spread(p []reg.GPVirtual, stride reg.GPVirtual) {
	for i := 1; i < len(p); i++ {
		LEAQ(Mem{Base: p[i-1], Index: stride, Scale: 2}, p[i])
		ADDQ(stride, p[i])
	}
}

// triple is the address of row i from pointers to every third row: an index can be scaled by 1 and 2.
func triple(p []reg.GPVirtual, stride reg.GPVirtual, i int) Mem {
	m := Mem{Base: p[i/3]}
	if i%3 > 0 {
		m.Index, m.Scale = stride, uint8(i%3)
	}
	return m
}
