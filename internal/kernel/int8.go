package kernel

import "github.com/calm-go/calm/internal/quantize"

// WidenInt8 is [quantize.Widen], except that dst may be longer than src.
func (s ISA) WidenInt8(dst []float32, src []int8) {
	needLen("dst", len(dst), len(src))
	done := s.wholeVectors(len(src))
	if done > 0 {
		widenInt8(s, dst, src[:done])
	}
	quantize.Widen(dst[done:len(src)], src[done:])
}
