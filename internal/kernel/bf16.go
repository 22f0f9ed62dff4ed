package kernel

import "github.com/calm-go/calm/internal/bfloat16"

// RoundBF16 is [bfloat16.Round], except that dst may be longer than src.
func (s ISA) RoundBF16(dst []uint16, src []float32) {
	needLen("dst", len(dst), len(src))
	done := s.wholeVectors(len(src))
	if done > 0 {
		roundBF16(s, dst, src[:done])
	}
	bfloat16.Round(dst[done:len(src)], src[done:])
}

// WidenBF16 is [bfloat16.Widen], except that dst may be longer than src.
func (s ISA) WidenBF16(dst []float32, src []uint16) {
	needLen("dst", len(dst), len(src))
	done := s.wholeVectors(len(src))
	if done > 0 {
		widenBF16(s, dst, src[:done])
	}
	bfloat16.Widen(dst[done:len(src)], src[done:])
}

// wholeVectors returns how many of n elements the assembly converts: a multiple of every vector width.
func (s ISA) wholeVectors(n int) int {
	if s == Portable {
		return 0
	}
	return n / 16 * 16
}
