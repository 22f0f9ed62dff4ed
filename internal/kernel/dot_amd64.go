package kernel

import "unsafe"

// dotKernels multiply 1, 2, .. 6 rows of X by n rows of W. Strides are in bytes.
type dotKernels[T weight] [6]func(n, k int, x *float32, ldx int, w *T, ldw int, y *float32, ldy int, accumulate bool)

var (
	dotsAVX2       = dotKernels[float32]{dot1AVX2, dot2AVX2, dot3AVX2, dot4AVX2, dot5AVX2, dot6AVX2}
	dotsAVX512     = dotKernels[float32]{dot1AVX512, dot2AVX512, dot3AVX512, dot4AVX512, dot5AVX512, dot6AVX512}
	dotsBF16AVX2   = dotKernels[uint16]{dot1BF16AVX2, dot2BF16AVX2, dot3BF16AVX2, dot4BF16AVX2, dot5BF16AVX2, dot6BF16AVX2}
	dotsBF16AVX512 = dotKernels[uint16]{dot1BF16AVX512, dot2BF16AVX512, dot3BF16AVX512, dot4BF16AVX512, dot5BF16AVX512, dot6BF16AVX512}
	dotsInt8AVX2   = dotKernels[int8]{dot1Int8AVX2, dot2Int8AVX2, dot3Int8AVX2, dot4Int8AVX2, dot5Int8AVX2, dot6Int8AVX2}
	dotsInt8AVX512 = dotKernels[int8]{dot1Int8AVX512, dot2Int8AVX512, dot3Int8AVX512, dot4Int8AVX512, dot5Int8AVX512, dot6Int8AVX512}
)

func dotRows(s ISA, m, n, k int, x []float32, ldx int, w []float32, ldw int, y []float32, ldy int, accumulate bool, scratch []float32) {
	dots := &dotsAVX2
	if s == AVX512 {
		dots = &dotsAVX512
	}
	done := tileDots(s, nil, m, n, k, x, ldx, w, ldw, y, ldy, accumulate, scratch)
	eachDots(dots, m, n-done, k, x, ldx, w[min(done*ldw, len(w)):], ldw, y[done:], ldy, accumulate)
}

func dotRowsBF16(s ISA, m, n, k int, x []float32, ldx int, w []uint16, ldw int, y []float32, ldy int, accumulate bool, scratch []float32) {
	dots, widening := &dotsBF16AVX2, wideningKernel[uint16](dotTile3BF16AVX2)
	if s == AVX512 {
		dots, widening = &dotsBF16AVX512, dotTile3BF16AVX512
	}
	done := tileDots(s, widening, m, n, k, x, ldx, w, ldw, y, ldy, accumulate, scratch)
	eachDots(dots, m, n-done, k, x, ldx, w[min(done*ldw, len(w)):], ldw, y[done:], ldy, accumulate)
}

func dotRowsInt8(s ISA, m, n, k int, x []float32, ldx int, w []int8, ldw int, y []float32, ldy int, accumulate bool) {
	dots := &dotsInt8AVX2
	if s == AVX512 {
		dots = &dotsInt8AVX512
	}
	eachDots(dots, m, n, k, x, ldx, w, ldw, y, ldy, accumulate)
}

// eachDots takes X in groups of as many rows as there are kernels for, and W in pieces that the groups after the first
// find in the cache.
func eachDots[T weight](dots *dotKernels[T], m, n, k int, x []float32, ldx int, w []T, ldw int, y []float32, ldy int, accumulate bool) {
	const most, cached = len(dots), 8
	groups, piece := (m+most-1)/most, n
	if groups > 1 {
		piece = cached
	}
	px, py, size := unsafe.SliceData(x), unsafe.SliceData(y), int(unsafe.Sizeof(w[0]))
	for j := 0; j < n; j += piece {
		for g := range groups {
			i := g * m / groups
			rows := (g+1)*m/groups - i
			dots[rows-1](min(piece, n-j), k, at(px, i*ldx), 4*ldx, &w[j*ldw], size*ldw, at(py, i*ldy+j), 4*ldy, accumulate)
		}
	}
}

// widenBF16 widens whole vectors.
func widenBF16(s ISA, dst []float32, src []uint16) {
	if s == AVX512 {
		widenBF16AVX512(unsafe.SliceData(dst), unsafe.SliceData(src), len(src)/16)
		return
	}
	widenBF16AVX2(unsafe.SliceData(dst), unsafe.SliceData(src), len(src)/8)
}

// widenInt8 widens whole vectors.
func widenInt8(s ISA, dst []float32, src []int8) {
	if s == AVX512 {
		widenInt8AVX512(unsafe.SliceData(dst), unsafe.SliceData(src), len(src)/16)
		return
	}
	widenInt8AVX2(unsafe.SliceData(dst), unsafe.SliceData(src), len(src)/8)
}

// roundBF16 rounds whole vectors.
func roundBF16(s ISA, dst []uint16, src []float32) {
	if s == AVX512 {
		roundAVX512(unsafe.SliceData(dst), unsafe.SliceData(src), len(src)/16)
		return
	}
	roundAVX2(unsafe.SliceData(dst), unsafe.SliceData(src), len(src)/8)
}
