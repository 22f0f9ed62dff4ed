package kernel

import "math"

// A bfloat16 is the upper half of a float32: as many exponents, 8 bits of precision. They are stored in uint16, and
// everything is computed in float32.

// float is the value of a float32 or a bfloat16.
func float[T float32 | uint16](v T) float32 {
	if u, ok := any(v).(uint16); ok {
		return FromBF16(u)
	}
	return float32(v)
}

// FromBF16 returns the value of a bfloat16.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// ToBF16 returns the bfloat16 nearest to v, of two the one whose last bit is 0. A NaN stays one.
func ToBF16(v float32) uint16 {
	u := math.Float32bits(v)
	if v != v {
		return uint16(u>>16) | 1<<6 // or the bits that are cut off may be all that it had
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// RoundBF16 sets dst[i] = ToBF16(src[i]) for all of src.
func (s ISA) RoundBF16(dst []uint16, src []float32) {
	needLen("dst", len(dst), len(src))
	done := s.wholeVectors(len(src))
	if done > 0 {
		roundBF16(s, dst, src[:done])
	}
	for i := done; i < len(src); i++ {
		dst[i] = ToBF16(src[i])
	}
}

// WidenBF16 sets dst[i] = FromBF16(src[i]) for all of src.
func (s ISA) WidenBF16(dst []float32, src []uint16) {
	needLen("dst", len(dst), len(src))
	done := s.wholeVectors(len(src))
	if done > 0 {
		widenBF16(s, dst, src[:done])
	}
	for i := done; i < len(src); i++ {
		dst[i] = FromBF16(src[i])
	}
}

// wholeVectors is as much of n as vectors of any width fill, for which there is assembly.
func (s ISA) wholeVectors(n int) int {
	if s == Portable {
		return 0
	}
	return n / 16 * 16
}
