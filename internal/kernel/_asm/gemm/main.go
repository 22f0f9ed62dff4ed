// Command gemm writes the assembly of the matrix product. Run it through go generate in package kernel.
package main

import (
	. "github.com/mmcloughlin/avo/build"
)

func main() {
	ConstraintExpr("amd64")
	for _, v := range []isa{avx2, avx512} {
		for rows := 1; rows <= v.tileRows; rows++ {
			v.tile(rows)
		}
		v.packRows(2 * v.lanes)
		v.packRows(v.tileRows)
		for rows := 1; rows <= v.dotRows; rows++ {
			v.dot(rows, float32s)
			v.dot(rows, bfloat16s)
			v.dotInt8(rows)
		}
		v.dotTile(2, 3, float32s)
		v.dotTile(3, 2, float32s)
		v.dotTile(3, 2, bfloat16s)
		v.packDots()
		v.widenRow(bfloat16s)
		v.widenRow(int8s)
		v.roundRow()
		v.fmaPeak()
		v.readSum()
	}
	transpose8()
	pause()
	Generate()
}
