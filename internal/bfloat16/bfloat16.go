// Package bfloat16 converts between float32 and bfloat16, which is the upper half of a float32: the same exponent, 8 bits
// of precision. A bfloat16 is stored in a uint16. Nothing is computed in it: values are widened to float32 first.
//
// Package internal/kernel has vectorised versions of the conversions of slices, with the same results.
package bfloat16

import (
	"fmt"
	"math"
)

// ToFloat32 returns the value of h. The conversion is exact.
func ToFloat32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// FromFloat32 returns the bfloat16 nearest to v; between two equally near ones, the one whose last bit is 0. Values
// beyond the largest bfloat16 become infinite. A NaN stays a NaN.
func FromFloat32(v float32) uint16 {
	u := math.Float32bits(v)
	if v != v {
		return uint16(u>>16) | 1<<6 // sets a bit of the fraction: those that make it a NaN may all be in the lower half
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// Round sets dst[i] = FromFloat32(src[i]). It panics where the lengths differ.
func Round(dst []uint16, src []float32) {
	checkLen(len(dst), len(src))
	for i, v := range src {
		dst[i] = FromFloat32(v)
	}
}

// Widen sets dst[i] = ToFloat32(src[i]). It panics where the lengths differ.
func Widen(dst []float32, src []uint16) {
	checkLen(len(dst), len(src))
	for i, h := range src {
		dst[i] = ToFloat32(h)
	}
}

func checkLen(dst, src int) {
	if dst != src {
		panic(fmt.Sprintf("bfloat16: dst has length %d, src %d", dst, src))
	}
}
