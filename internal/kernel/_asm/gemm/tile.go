package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tile is the register tile: rows of A against a panel of B two vectors wide, down all of A in strips.
//
//	for range strips {
//		for i := range rows {
//			for j := range 2 * lanes {
//				s := 0
//				for l := range k {
//					s = fma(a[i*aRow+l*aCol], b[l*bRow+j], s)
//				}
//				c[i*ldc+j] = s // or +=
//			}
//		}
//		a, c = a[aStrip:], c[rows*ldc:]
//	}
//
// A row costs one broadcast and two multiply-adds a step. Three rows share a pointer: an index can be scaled by 1 and 2.
func (v isa) tile(rows int) {
	v.function(fmt.Sprintf("gemmTile%d", rows),
		"(strips, k int, a *float32, aRow, aCol, aStrip int, b *float32, bRow int, c *float32, ldc int, accumulate bool)",
		fmt.Sprintf("multiplies strips of %d rows of A by a panel of B of %d columns.", rows, 2*v.lanes),
		"Strides are in bytes.")
	strips := arg("strips")
	a, aRow, aCol := arg("a"), arg("aRow"), arg("aCol")
	bRow := arg("bRow")
	c, ldc := arg("c"), arg("ldc")
	b, n := GP64(), GP64()
	triples := pointers((rows + 2) / 3)
	sums, free := take(v.vectors, 2*rows)
	bs, free := take(free, 2)
	broadcasts := free[:2]

	Label("strip")
	Load(Param("b"), b)
	MOVQ(a, triples[0])
	spread(triples, aRow)
	for _, s := range sums {
		v.zero(s)
	}
	v.prefetchC(rows, c, ldc, n)

	step := func() {
		VMOVUPS(at(b, 0), bs[0])
		VMOVUPS(at(b, v.bytes()), bs[1])
		for i := range rows {
			x := broadcasts[i%2]
			VBROADCASTSS(triple(triples, aRow, i), x)
			VFMADD231PS(x, bs[0], sums[2*i])
			VFMADD231PS(x, bs[1], sums[2*i+1])
		}
		for _, p := range triples {
			ADDQ(aCol, p)
		}
		ADDQ(bRow, b)
	}
	const unroll = 4
	Load(Param("k"), n)
	SUBQ(U8(unroll), n)
	JL(LabelRef("rest"))
	Label("steps")
	for range unroll {
		step()
	}
	SUBQ(U8(unroll), n)
	JGE(LabelRef("steps"))
	Label("rest")
	ADDQ(U8(unroll), n)
	JZ(LabelRef("store"))
	Label("single")
	step()
	DECQ(n)
	JNZ(LabelRef("single"))

	Label("store")
	CMPB(argAt("accumulate"), U8(0))
	JE(LabelRef("overwrite"))
	p := n
	MOVQ(c, p)
	for i := range rows {
		VADDPS(at(p, 0), sums[2*i], sums[2*i])
		VADDPS(at(p, v.bytes()), sums[2*i+1], sums[2*i+1])
		if i < rows-1 {
			ADDQ(ldc, p)
		}
	}
	Label("overwrite")
	for i := range rows {
		VMOVUPS(sums[2*i], at(c, 0))
		VMOVUPS(sums[2*i+1], at(c, v.bytes()))
		ADDQ(ldc, c)
	}
	ADDQ(argAt("aStrip"), a)
	DECQ(strips)
	JNZ(LabelRef("strip"))
	finish()
}

// prefetchC asks for the strip's lines of C, which are needed only after all of k.
func (v isa) prefetchC(rows int, c, ldc, p reg.GPVirtual) {
	MOVQ(c, p)
	for i := range rows {
		for line := 0; line < 2*v.bytes(); line += 64 {
			PREFETCHT0(at(p, line))
		}
		PREFETCHT0(at(p, 2*v.bytes()-1)) // rows of C need not begin at a line
		if i < rows-1 {
			ADDQ(ldc, p)
		}
	}
}
