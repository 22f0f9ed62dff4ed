package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// format is how the rows of W lie in memory.
type format struct {
	name   string // in names of functions
	what   string // in comments
	goType string
	size   int // bytes of an element
}

var (
	float32s  = format{"", "float32", "float32", 4}
	bfloat16s = format{"BF16", "bfloat16", "uint16", 2}
	int8s     = format{"Int8", "int8", "int8", 1}
)

// dot multiplies rows of X by rows of W, taking the rows of W in the order of memory. Elements of W that are bfloat16
// are widened to float32.
//
//	for j := range n {
//		for i := range rows {
//			s := [2][lanes]float32{}
//			l := 0
//			for ; l+2*lanes <= k; l += 2 * lanes {
//				s[0] = fma(x[i*ldx+l:][:lanes], w[j*ldw+l:][:lanes], s[0])
//				s[1] = fma(x[i*ldx+l+lanes:][:lanes], w[j*ldw+l+lanes:][:lanes], s[1])
//			}
//			if l+lanes <= k {
//				s[0] = fma(x[i*ldx+l:][:lanes], w[j*ldw+l:][:lanes], s[0])
//				l += lanes
//			}
//			s[1] = fma(x[i*ldx+l:][:k-l], w[j*ldw+l:][:k-l], s[1])
//			y[i*ldy+j] = sum(s[0] + s[1]) // or +=
//		}
//	}
func (v isa) dot(rows int, f format) {
	v.function(fmt.Sprintf("dot%d%s", rows, f.name),
		fmt.Sprintf("(n, k int, x *float32, ldx int, w *%s, ldw int, y *float32, ldy int, accumulate bool)", f.goType),
		fmt.Sprintf("multiplies %d rows of X by n > 0 rows of W, k > 0.", rows),
		"Strides are in bytes.")
	rest, ldx, w, ldw, y := arg("n"), arg("ldx"), arg("w"), arg("ldw"), arg("y")
	n, wp := GP64(), GP64()
	xs := pointers((rows + 2) / 3)
	sums, free := take(v.vectors, 2*rows)
	ws, free := take(free, 2)
	tail := v.tailMask(free, n)
	wide := v.lanes * f.size // bytes of W in a vector

	Label("row")
	Load(Param("x"), xs[0])
	spread(xs, ldx)
	MOVQ(w, wp)
	for _, s := range sums {
		v.zero(s)
	}
	Load(Param("k"), n)
	SUBQ(U8(2*v.lanes), n)
	JL(LabelRef("rest"))
	Label("steps")
	add := func(i, c int) {
		x := triple(xs, ldx, i)
		x.Disp = c * v.bytes()
		VFMADD231PS(x, ws[c], sums[2*i+c])
	}
	for line := 0; line < 2*wide; line += 64 {
		PREFETCHT0(at(wp, prefetchAhead+line))
	}
	v.widen(f, at(wp, 0), ws[0])
	v.widen(f, at(wp, wide), ws[1])
	for i := range rows {
		add(i, 0)
		add(i, 1)
	}
	for _, p := range xs {
		ADDQ(U32(2*v.bytes()), p)
	}
	ADDQ(U32(2*wide), wp)
	SUBQ(U8(2*v.lanes), n)
	JGE(LabelRef("steps"))
	Label("rest")
	ADDQ(U8(v.lanes), n)
	JL(LabelRef("tail"))
	v.widen(f, at(wp, 0), ws[0])
	for i := range rows {
		add(i, 0)
	}
	for _, p := range xs {
		ADDQ(U8(v.bytes()), p)
	}
	ADDQ(U8(wide), wp)
	SUBQ(U8(v.lanes), n)
	Label("tail")
	ADDQ(U8(v.lanes), n)
	JZ(LabelRef("reduce"))
	if f == float32s {
		tail(at(wp, 0), ws[1])
	} else {
		v.widenTail(bfloat16s, AllocLocal(2*v.lanes), wp, n, ws[1], "words")
	}
	for i := range rows {
		tail(triple(xs, ldx, i), ws[0])
		VFMADD231PS(ws[0], ws[1], sums[2*i+1])
	}

	Label("reduce")
	for i := range rows {
		VADDPS(sums[2*i+1], sums[2*i], sums[2*i])
		v.sumLanes(sums[2*i], ws[0])
	}
	v.storeDots(rows, sums, y, n)
	ADDQ(U8(4), y)
	ADDQ(ldw, w)
	DECQ(rest)
	JNZ(LabelRef("row"))
	finish()
}

// prefetchAhead is how far ahead of its use memory is asked for, in bytes. The processor does the same by itself, but
// only to the end of a page.
const prefetchAhead = 1024

// widen loads a vector of W.
func (v isa) widen(f format, m Mem, r reg.VecPhysical) {
	switch f {
	case float32s:
		VMOVUPS(m, r)
	case bfloat16s:
		VPMOVZXWD(m, r)
		VPSLLD(U8(16), r, r)
	case int8s:
		VPMOVSXBD(m, r)
		VCVTDQ2PS(r, r)
	}
}

// widenTail loads the last n elements of a row, fewer than a vector, that are narrower than float32; the other lanes are
// zero. AVX2 has no masked load of them, so they are gathered on the stack, in memory for a vector of them. n is overwritten.
func (v isa) widenTail(f format, stack Mem, p, n reg.GPVirtual, r reg.VecPhysical, label string) {
	VPXOR(quarter(r), quarter(r), quarter(r))
	for i := 0; i < f.size*v.lanes; i += 16 {
		if f.size*v.lanes < 16 {
			VMOVSD(quarter(r), stack)
		} else {
			VMOVUPS(quarter(r), stack.Offset(i))
		}
	}
	element := GP64()
	Label(label)
	from, to := Mem{Base: p, Index: n, Scale: uint8(f.size), Disp: -f.size}, stack.Idx(n, uint8(f.size)).Offset(-f.size)
	if f == int8s {
		MOVBLZX(from, element.As32())
		MOVB(element.As8(), to)
	} else {
		MOVWLZX(from, element.As32())
		MOVW(element.As16(), to)
	}
	DECQ(n)
	JNZ(LabelRef(label))
	v.widen(f, stack, r)
}

// storeDots puts the lowest lane of every second register of sums into a column of y.
func (v isa) storeDots(rows int, sums []reg.VecPhysical, y, p reg.GPVirtual) {
	each := func(f func(m Mem, s reg.Register)) {
		MOVQ(y, p)
		for i := range rows {
			f(at(p, 0), quarter(sums[2*i]))
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

// tailMask prepares masked loads of the last k % lanes elements of a row: the other lanes are zero, and memory after
// the row is not read. If k is a multiple of lanes, the mask is not used.
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
