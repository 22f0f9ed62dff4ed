package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dotTile multiplies rows of X by tiles of W, cols rows each. A vector that is loaded is used cols or rows times, and with
// two sums for each pair of rows there are enough of them to hide the latency of a multiply-add. Each sum is formed in the
// order of dot, so that the result is the same bit for bit.
//
// X is packed: vector after vector, of each those of all rows; behind the last elements of a row are zeros. K may be cut
// into pieces of whole pairs of vectors. Then the sums of each tile are kept in memory from piece to piece, which changes
// no result.
//
// A W that is not float32 is widened, and left as float32 in wide, for the other rows of X.
//
// Memory that is needed later is asked for evenly in the course of the work, aheadStep bytes each time.
//
//	for t := range tiles {
//		s := begin ? 0 : sums[t] // [rows][cols][2][lanes]float32
//		for v := range ceil(k / lanes) {
//			c := v%2 // 1 for the last elements, fewer than lanes
//			for i := range rows {
//				for j := range cols {
//					s[i][j][c] = fma(x[v][i], w[(t*cols+j)*ldw+v*lanes:][:lanes], s[i][j][c])
//				}
//			}
//		}
//		if end {
//			y[i*ldy+t*cols+j] = sum(s[i][j][0] + s[i][j][1]) // or +=
//		} else {
//			sums[t] = s
//		}
//	}
func (v isa) dotTile(rows, cols int, f format) {
	copyParam := ""
	if f != float32s {
		copyParam = "wide *float32, "
	}
	v.function(fmt.Sprintf("dotTile%d%s", rows, f.name),
		"(tiles int, w *"+f.goType+", ldw int, "+copyParam+"x *float32, k int, sums, y *float32, ldy int, "+
			"begin, end, accumulate bool, ahead uintptr, aheadStep int)",
		fmt.Sprintf("multiplies %d packed rows of X by tiles > 0 of %d rows of W, which is %s, k > 0.", rows, cols, f.what),
		"Strides are in bytes.")
	d := &dotsTile{isa: v, rows: rows, cols: cols, f: f}
	tiles, w, y, kept := arg("tiles"), arg("w"), arg("y"), GP64()
	d.ldw = arg("ldw")
	d.ahead, d.aheadStep = arg("ahead"), arg("aheadStep")
	Load(Param("sums"), kept)
	d.n, d.w, d.x = GP64(), GP64(), GP64()
	if f != float32s {
		d.wide = GP64()
	}
	d.sums, d.ws = take(v.vectors, 2*rows*cols)
	d.ws, d.xv = d.ws[:cols], d.ws[cols]

	Label("tile")
	MOVQ(w, d.w)
	Load(Param("x"), d.x)
	if f != float32s {
		MOVQ(argAt("wide"), d.wide)
	}
	d.begin(kept)
	d.multiply()
	d.end(kept, y)
	ADDQ(U32(len(d.sums)*v.bytes()), kept)
	ADDQ(U8(4*cols), y)
	for range cols {
		ADDQ(d.ldw, w)
	}
	if f != float32s {
		ADDQ(U32(4*cols*dotWide), argAt("wide"))
	}
	DECQ(tiles)
	JNZ(LabelRef("tile"))
	finish()
}

// dotWide is the distance of widened rows of W, in elements: not a power of two, so that they do not compete for the same
// cache lines.
const dotWide = 1024 + 16

// dotsTile holds what dotTile keeps in registers.
type dotsTile struct {
	isa
	rows, cols       int
	f                format // of W
	n, w, ldw, x     reg.GPVirtual
	wide             reg.GPVirtual     // not for float32
	ahead, aheadStep reg.GPVirtual     // what is prefetched next
	sums             []reg.VecPhysical // [rows, cols, 2]
	ws               []reg.VecPhysical // of each row of W
	xv               reg.VecPhysical
}

// sum is chain c of an element.
func (d *dotsTile) sum(i, j, c int) reg.VecPhysical { return d.sums[2*(i*d.cols+j)+c] }

// weight is vector c of row j of W.
func (d *dotsTile) weight(j, c int) Mem {
	m := at(d.w, c*d.lanes*d.f.size)
	if j > 0 {
		m.Index, m.Scale = d.ldw, uint8(j)
	}
	return m
}

// begin sets the sums to zero or to what they were after the piece of K before.
func (d *dotsTile) begin(kept reg.GPVirtual) {
	CMPB(argAt("begin"), U8(0))
	JE(LabelRef("continued"))
	for _, s := range d.sums {
		d.zero(s)
	}
	JMP(LabelRef("begun"))
	Label("continued")
	for i, s := range d.sums {
		VMOVUPS(at(kept, i*d.bytes()), s)
	}
	Label("begun")
}

// multiply adds k products to each sum.
func (d *dotsTile) multiply() {
	Load(Param("k"), d.n)
	SUBQ(U8(2*d.lanes), d.n)
	JL(LabelRef("rest"))
	Label("steps")
	PREFETCHT1(at(d.ahead, 0))
	ADDQ(d.aheadStep, d.ahead)
	d.vectors(2)
	SUBQ(U8(2*d.lanes), d.n)
	JGE(LabelRef("steps"))
	Label("rest")
	ADDQ(U8(d.lanes), d.n)
	JL(LabelRef("tail"))
	d.vectors(1)
	SUBQ(U8(d.lanes), d.n)
	Label("tail")
	ADDQ(U8(d.lanes), d.n)
	JZ(LabelRef("done"))
	d.tail()
	Label("done")
}

// vectors multiplies count vectors of every row.
func (d *dotsTile) vectors(count int) {
	for c := range count {
		for j, r := range d.ws {
			d.widen(d.f, d.weight(j, c), r)
			if d.f != float32s {
				VMOVUPS(r, at(d.wide, 4*j*dotWide+c*d.bytes()))
			}
		}
		for i := range d.rows {
			VMOVUPS(at(d.x, (c*d.rows+i)*d.bytes()), d.xv)
			for j, r := range d.ws {
				VFMADD231PS(d.xv, r, d.sum(i, j, c))
			}
		}
	}
	ADDQ(U32(count*d.rows*d.bytes()), d.x)
	ADDQ(U32(count*d.lanes*d.f.size), d.w)
	if d.f != float32s {
		ADDQ(U32(count*d.bytes()), d.wide)
	}
}

// tail multiplies the last n elements, fewer than a vector.
func (d *dotsTile) tail() {
	if d.f == float32s {
		load := d.tailMask([]reg.VecPhysical{d.xv}, d.n)
		for j, r := range d.ws {
			load(d.weight(j, 0), r)
		}
	} else {
		stack := AllocLocal(d.f.size * d.lanes)
		for j, r := range d.ws {
			p, n := GP64(), GP64()
			LEAQ(d.weight(j, 0), p)
			MOVQ(d.n, n)
			d.widenTail(d.f, stack, p, n, r, fmt.Sprint("elements", j))
			VMOVUPS(r, at(d.wide, 4*j*dotWide))
		}
	}
	for i := range d.rows {
		for j, r := range d.ws {
			VFMADD231PS(at(d.x, i*d.bytes()), r, d.sum(i, j, 1))
		}
	}
}

// end stores the elements of Y, or keeps the sums for the next piece of K.
func (d *dotsTile) end(kept, y reg.GPVirtual) {
	CMPB(argAt("end"), U8(0))
	JNE(LabelRef("reduce"))
	for i, s := range d.sums {
		VMOVUPS(s, at(kept, i*d.bytes()))
	}
	JMP(LabelRef("next"))
	Label("reduce")
	for i := 0; i < len(d.sums); i += 2 {
		VADDPS(d.sums[i+1], d.sums[i], d.sums[i])
		d.sumLanes(d.sums[i], d.ws[0])
	}
	each := func(f func(m Mem, s reg.Register)) {
		MOVQ(y, d.n)
		for i := range d.rows {
			for j := range d.cols {
				f(at(d.n, 4*j), quarter(d.sum(i, j, 0)))
			}
			if i < d.rows-1 {
				ADDQ(argAt("ldy"), d.n)
			}
		}
	}
	CMPB(argAt("accumulate"), U8(0))
	JE(LabelRef("overwrite"))
	each(func(m Mem, s reg.Register) { VADDSS(m, s, s) })
	Label("overwrite")
	each(func(m Mem, s reg.Register) { VMOVSS(s, m) })
	Label("next")
}

// packDots copies a row of X into vectors that are step bytes apart.
//
//	for v := range vectors {
//		dst[v*step:][:lanes] = src[v*lanes:][:lanes]
//	}
func (v isa) packDots() {
	v.function("packDots", "(dst *float32, step int, src *float32, vectors int)",
		"copies vectors > 0 vectors. The step is in bytes.")
	dst, step, src, n := arg("dst"), arg("step"), arg("src"), arg("vectors")
	r := v.vectors[0]
	Label("vector")
	VMOVUPS(at(src, 0), r)
	VMOVUPS(r, at(dst, 0))
	ADDQ(step, dst)
	ADDQ(U32(v.bytes()), src)
	DECQ(n)
	JNZ(LabelRef("vector"))
	finish()
}
