package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is a vector instruction set. Every kernel is described once, for any width and number of registers.
type isa struct {
	name     string
	lanes    int // float32 in a vector
	tileRows int // of the register tile, which is two vectors wide
	dotRows  int // of X that a dot kernel takes at most, with two sums each
	vectors  []reg.VecPhysical
}

var (
	avx2 = isa{"AVX2", 8, 6, 6, []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}}
	avx512 = isa{"AVX512", 16, 12, 6, []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}}
)

// bytes returns the width of a vector.
func (v isa) bytes() int { return 4 * v.lanes }

// take splits the first n registers off free.
func take(free []reg.VecPhysical, n int) (taken, rest []reg.VecPhysical) { return free[:n], free[n:] }

func (v isa) zero(r reg.VecPhysical) {
	if v.lanes == 16 {
		VPXORD(r, r, r) // VXORPS of this width would need AVX512DQ
		return
	}
	VXORPS(r, r, r)
}

// function opens a function of this instruction set.
func (v isa) function(name, signature string, doc ...string) {
	TEXT(name+v.name, NOSPLIT, "func"+signature)
	Pragma("noescape")
	Doc(append([]string{fmt.Sprintf("%s%s %s", name, v.name, doc[0])}, doc[1:]...)...)
}

// finish ends a function. It clears the upper halves of the registers, which would slow later scalar code several
// times.
func finish() {
	VZEROUPPER()
	RET()
}

// arg loads a parameter into a new register.
func arg(name string) reg.GPVirtual {
	r := GP64()
	Load(Param(name), r)
	return r
}

// argAt returns the memory of a parameter.
func argAt(name string) Mem {
	b, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// at is an address with a displacement.
func at(base reg.Register, disp int) Mem { return Mem{Base: base, Disp: disp} }

// lowHalf returns a register's lower 256 bits, quarter its lower 128.
func lowHalf(r reg.VecPhysical) reg.Register { return r.AsY() }
func quarter(r reg.VecPhysical) reg.Register { return r.AsX() }

// sumLanes adds up the lanes of r into its lowest, pairwise, with one more register to work in.
func (v isa) sumLanes(r, tmp reg.VecPhysical) {
	if v.lanes == 16 {
		VEXTRACTF64X4(U8(1), r, lowHalf(tmp))
		VADDPS(lowHalf(tmp), lowHalf(r), lowHalf(r))
		VEXTRACTF32X4(U8(1), lowHalf(r), quarter(tmp)) // VEXTRACTF128 ends at register 15
	} else {
		VEXTRACTF128(U8(1), r, quarter(tmp))
	}
	VADDPS(quarter(tmp), quarter(r), quarter(r))
	VMOVHLPS(quarter(r), quarter(r), quarter(tmp))
	VADDPS(quarter(tmp), quarter(r), quarter(r))
	VMOVSHDUP(quarter(r), quarter(tmp))
	VADDSS(quarter(tmp), quarter(r), quarter(r))
}
