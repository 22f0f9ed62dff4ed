package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dotInt8 multiplies rows of X by rows of W, which are int8 and widened to float32. Rows of int8 are a quarter as long as
// those of float32, so arithmetic takes as long as reading. Hence two or four rows of W are taken side by side: a vector of X
// is loaded once for all of them, and there are enough chains of multiply-adds to hide their latency. A sum is one chain,
// whatever the number of rows. Memory is asked for in order, since the processor finds no order in rows side by side: the
// rows that follow are prefetched as they lie, at the rate at which these are read.
//
//	for j := range n {
//		for i := range rows {
//			s := [lanes]float32{}
//			l := 0
//			for ; l+lanes <= k; l += lanes {
//				s = fma(x[i*ldx+l:][:lanes], w[j*ldw+l:][:lanes], s)
//			}
//			s = fma(x[i*ldx+l:][:k-l], w[j*ldw+l:][:k-l], s)
//			y[i*ldy+j] = sum(s) // or +=
//		}
//	}
func (v isa) dotInt8(rows int) {
	v.function(fmt.Sprintf("dot%dInt8", rows),
		"(n, k int, x *float32, ldx int, w *int8, ldw int, y *float32, ldy int, accumulate bool)",
		fmt.Sprintf("multiplies %d rows of X by n > 0 rows of W, k > 0.", rows),
		"Strides are in bytes.")
	d := &dotsInt8{
		isa: v, rows: rows,
		left: arg("n"), ldx: arg("ldx"), w: arg("w"), ldw: arg("ldw"), y: arg("y"), n: GP64(),
		xs: pointers((rows + 2) / 3), ws: pointers(2), ahead: GP64(),
		stack: AllocLocal(16),
	}
	d.tail = v.tailMask(v.vectors[len(v.vectors)-1:], d.n)
	together := 2
	if rows <= 2 {
		together = 4
	}
	SUBQ(U8(together), d.left)
	JL(LabelRef("few"))
	Label("rows")
	d.block(together, "")
	SUBQ(U8(together), d.left)
	JGE(LabelRef("rows"))
	Label("few")
	ADDQ(U8(together), d.left)
	JZ(LabelRef("done"))
	Label("row")
	d.block(1, "One")
	DECQ(d.left)
	JNZ(LabelRef("row"))
	Label("done")
	finish()
}

// dotsInt8 holds what dotInt8 keeps in registers.
type dotsInt8 struct {
	isa
	rows                    int
	left, ldx, w, ldw, y, n reg.GPVirtual
	xs                      []reg.GPVirtual // every third row of X
	ws                      []reg.GPVirtual // the first and the third row of W
	ahead                   reg.GPVirtual   // what is prefetched next
	stack                   Mem
	tail                    func(m Mem, r reg.VecPhysical)
}

// block multiplies the rows of X by that many rows of W. name ends its labels.
func (d *dotsInt8) block(together int, name string) {
	v := d.isa
	sums, free := take(v.vectors, d.rows*together)
	ws, free := take(free, together)
	x := free[0]
	weight := func(j, disp int) Mem {
		m := Mem{Base: d.ws[j/2], Disp: disp}
		if j%2 == 1 {
			m.Index, m.Scale = d.ldw, 1
		}
		return m
	}
	multiply := func(load func(i int)) {
		for i := range d.rows {
			load(i)
			for j := range together {
				VFMADD231PS(x, ws[j], sums[i*together+j])
			}
		}
	}
	vectors := func(n int) {
		for c := range n {
			for j := range together {
				v.widen(int8s, weight(j, c*v.lanes), ws[j])
			}
			multiply(func(i int) {
				m := triple(d.xs, d.ldx, i)
				m.Disp = c * v.bytes()
				VMOVUPS(m, x)
			})
		}
		for _, p := range d.xs {
			ADDQ(U32(n*v.bytes()), p)
		}
		for _, p := range d.ws[:(together+1)/2] {
			ADDQ(U32(n*v.lanes), p)
		}
	}

	Load(Param("x"), d.xs[0])
	spread(d.xs, d.ldx)
	MOVQ(d.w, d.ws[0])
	LEAQ(Mem{Base: d.w, Index: d.ldw, Scale: 2}, d.ws[1])
	LEAQ(Mem{Base: d.w, Index: d.ldw, Scale: uint8(together), Disp: prefetchAhead}, d.ahead)
	for _, s := range sums {
		v.zero(s)
	}
	Load(Param("k"), d.n)
	SUBQ(U8(64), d.n)
	JL(LabelRef("lineEnd" + name))
	Label("line" + name)
	for line := 0; line < 64*together; line += 64 {
		PREFETCHT0(at(d.ahead, line))
	}
	ADDQ(U32(64*together), d.ahead)
	vectors(64 / v.lanes)
	SUBQ(U8(64), d.n)
	JGE(LabelRef("line" + name))
	Label("lineEnd" + name)
	ADDQ(U8(64-v.lanes), d.n)
	JL(LabelRef("vectorEnd" + name))
	Label("vector" + name)
	vectors(1)
	SUBQ(U8(v.lanes), d.n)
	JGE(LabelRef("vector" + name))
	Label("vectorEnd" + name)
	ADDQ(U8(v.lanes), d.n)
	JZ(LabelRef("reduce" + name))
	for j := range together {
		p, n := GP64(), GP64()
		LEAQ(weight(j, 0), p)
		MOVQ(d.n, n)
		v.widenTail(int8s, d.stack, p, n, ws[j], fmt.Sprintf("bytes%s%d", name, j))
	}
	multiply(func(i int) { d.tail(triple(d.xs, d.ldx, i), x) })
	Label("reduce" + name)
	for _, s := range sums {
		v.sumLanes(s, ws[0])
	}
	d.store(sums, together, name)
	ADDQ(U8(4*together), d.y)
	for range together {
		ADDQ(d.ldw, d.w)
	}
}

// store puts the lowest lanes of sums [rows, together] into columns of y.
func (d *dotsInt8) store(sums []reg.VecPhysical, together int, name string) {
	each := func(f func(m Mem, s reg.Register)) {
		MOVQ(d.y, d.n)
		for i := range d.rows {
			for j := range together {
				f(at(d.n, 4*j), quarter(sums[i*together+j]))
			}
			if i < d.rows-1 {
				ADDQ(argAt("ldy"), d.n)
			}
		}
	}
	CMPB(argAt("accumulate"), U8(0))
	JE(LabelRef("overwrite" + name))
	each(func(m Mem, s reg.Register) { VADDSS(m, s, s) })
	Label("overwrite" + name)
	each(func(m Mem, s reg.Register) { VMOVSS(s, m) })
}
