// Package quantize makes int8 of the rows of a matrix. The numbers of a row are multiples of one float32, the row's scale:
//
//	row[i] ≈ scale * q[i],  -127 <= q[i] <= 127
//
// The largest number of a row becomes 127 or -127, so every number is off by half a scale at most. Nothing is computed in
// int8: values are widened to float32 first.
package quantize

import (
	"fmt"
	"math"
)

// largest is the largest int8 that is used. -128 has no positive counterpart.
const largest = 127

// tiny is the smallest number that a row must reach. A row without one has the scale 0: its numbers become 0.
const tiny = 0x1p-100

// Row makes int8 of a row and returns its scale. Each number becomes the nearest multiple of the scale, the even one of two
// equally near. A row with a NaN or an infinity has the scale NaN, so that what is computed with it is NaN. It panics where
// the lengths differ.
func Row(dst []int8, row []float32) (scale float32) {
	if len(dst) != len(row) {
		panic(fmt.Sprintf("quantize: dst has length %d, the row %d", len(dst), len(row)))
	}
	peak := peak(row)
	switch {
	case peak > math.MaxFloat32:
		clear(dst)
		return float32(math.NaN())
	case peak < tiny:
		clear(dst)
		return 0
	}
	// At 2^23 and above, float32 has no fractions: the addition rounds, and the lowest byte is the integer.
	const whole = 0x1.8p23
	inverse := largest / peak
	for i, v := range row {
		dst[i] = int8(math.Float32bits(float32(v*inverse) + whole))
	}
	return peak / largest
}

// peak returns the largest absolute value. A NaN counts as more than infinity.
func peak(row []float32) float32 {
	const sign = 1 << 31
	var a, b, c, d uint32 // absolute values are ordered as their bits are
	for ; len(row) >= 4; row = row[4:] {
		a = max(a, math.Float32bits(row[0])&^sign)
		b = max(b, math.Float32bits(row[1])&^sign)
		c = max(c, math.Float32bits(row[2])&^sign)
		d = max(d, math.Float32bits(row[3])&^sign)
	}
	for _, v := range row {
		a = max(a, math.Float32bits(v)&^sign)
	}
	if bits := max(a, b, c, d); bits < 0x7f800000 {
		return math.Float32frombits(bits)
	}
	return float32(math.Inf(1))
}

// Matrix makes int8 of a matrix [len(scales), cols]. It panics where the lengths do not match.
func Matrix(dst []int8, scales, src []float32, cols int) {
	if len(src) != len(scales)*cols || len(dst) != len(src) {
		panic(fmt.Sprintf("quantize: %d numbers and %d results of %d rows of %d", len(src), len(dst), len(scales), cols))
	}
	for i := range scales {
		scales[i] = Row(dst[i*cols:(i+1)*cols], src[i*cols:(i+1)*cols])
	}
}

// Widen sets dst[i] = float32(src[i]), without the scale. It panics where the lengths differ.
func Widen(dst []float32, src []int8) {
	if len(dst) != len(src) {
		panic(fmt.Sprintf("quantize: dst has length %d, src %d", len(dst), len(src)))
	}
	for i, q := range src {
		dst[i] = float32(q)
	}
}
