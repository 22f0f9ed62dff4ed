package kernel

import "unsafe"

// dotRows takes X in groups of at most 6 rows, and W in pieces that the groups after the first find in the cache.
func dotRows(s ISA, m, n, k int, x []float32, ldx int, w []float32, ldw int, y []float32, ldy int, accumulate bool) {
	dots := dotsAVX2
	if s == AVX512 {
		dots = dotsAVX512
	}
	eachDots(dots, m, n, k, x, ldx, w, ldw, y, ldy, accumulate)
}

func dotRowsBF16(s ISA, m, n, k int, x []float32, ldx int, w []uint16, ldw int, y []float32, ldy int, accumulate bool) {
	dots := dotsBF16AVX2
	if s == AVX512 {
		dots = dotsBF16AVX512
	}
	eachDots(dots, m, n, k, x, ldx, w, ldw, y, ldy, accumulate)
}

// dotGroup multiplies at most 6 rows of X by n rows of W.
type dotGroup[T float32 | uint16] func(rows, n, k int, x *float32, ldx int, w *T, ldw int, y *float32, ldy int, accumulate bool)

func eachDots[T float32 | uint16](dots dotGroup[T], m, n, k int, x []float32, ldx int, w []T, ldw int, y []float32, ldy int, accumulate bool) {
	const most, cached = 6, 8
	groups, piece := (m+most-1)/most, n
	if groups > 1 {
		piece = cached
	}
	px, py := unsafe.SliceData(x), unsafe.SliceData(y)
	for j := 0; j < n; j += piece {
		for g := range groups {
			i := g * m / groups
			dots((g+1)*m/groups-i, min(piece, n-j), k, at(px, i*ldx), ldx, &w[j*ldw], ldw, at(py, i*ldy+j), ldy, accumulate)
		}
	}
}

func dotsAVX2(rows, n, k int, x *float32, ldx int, w *float32, ldw int, y *float32, ldy int, accumulate bool) {
	switch rows {
	case 1:
		dot1AVX2(n, k, x, 4*ldx, w, 4*ldw, y, 4*ldy, accumulate)
	case 2:
		dot2AVX2(n, k, x, 4*ldx, w, 4*ldw, y, 4*ldy, accumulate)
	case 3:
		dot3AVX2(n, k, x, 4*ldx, w, 4*ldw, y, 4*ldy, accumulate)
	case 4:
		dot4AVX2(n, k, x, 4*ldx, w, 4*ldw, y, 4*ldy, accumulate)
	case 5:
		dot5AVX2(n, k, x, 4*ldx, w, 4*ldw, y, 4*ldy, accumulate)
	case 6:
		dot6AVX2(n, k, x, 4*ldx, w, 4*ldw, y, 4*ldy, accumulate)
	}
}

func dotsBF16AVX2(rows, n, k int, x *float32, ldx int, w *uint16, ldw int, y *float32, ldy int, accumulate bool) {
	switch rows {
	case 1:
		dot1BF16AVX2(n, k, x, 4*ldx, w, 2*ldw, y, 4*ldy, accumulate)
	case 2:
		dot2BF16AVX2(n, k, x, 4*ldx, w, 2*ldw, y, 4*ldy, accumulate)
	case 3:
		dot3BF16AVX2(n, k, x, 4*ldx, w, 2*ldw, y, 4*ldy, accumulate)
	case 4:
		dot4BF16AVX2(n, k, x, 4*ldx, w, 2*ldw, y, 4*ldy, accumulate)
	case 5:
		dot5BF16AVX2(n, k, x, 4*ldx, w, 2*ldw, y, 4*ldy, accumulate)
	case 6:
		dot6BF16AVX2(n, k, x, 4*ldx, w, 2*ldw, y, 4*ldy, accumulate)
	}
}

func dotsAVX512(rows, n, k int, x *float32, ldx int, w *float32, ldw int, y *float32, ldy int, accumulate bool) {
	switch rows {
	case 1:
		dot1AVX512(n, k, x, 4*ldx, w, 4*ldw, y, 4*ldy, accumulate)
	case 2:
		dot2AVX512(n, k, x, 4*ldx, w, 4*ldw, y, 4*ldy, accumulate)
	case 3:
		dot3AVX512(n, k, x, 4*ldx, w, 4*ldw, y, 4*ldy, accumulate)
	case 4:
		dot4AVX512(n, k, x, 4*ldx, w, 4*ldw, y, 4*ldy, accumulate)
	case 5:
		dot5AVX512(n, k, x, 4*ldx, w, 4*ldw, y, 4*ldy, accumulate)
	case 6:
		dot6AVX512(n, k, x, 4*ldx, w, 4*ldw, y, 4*ldy, accumulate)
	}
}

func dotsBF16AVX512(rows, n, k int, x *float32, ldx int, w *uint16, ldw int, y *float32, ldy int, accumulate bool) {
	switch rows {
	case 1:
		dot1BF16AVX512(n, k, x, 4*ldx, w, 2*ldw, y, 4*ldy, accumulate)
	case 2:
		dot2BF16AVX512(n, k, x, 4*ldx, w, 2*ldw, y, 4*ldy, accumulate)
	case 3:
		dot3BF16AVX512(n, k, x, 4*ldx, w, 2*ldw, y, 4*ldy, accumulate)
	case 4:
		dot4BF16AVX512(n, k, x, 4*ldx, w, 2*ldw, y, 4*ldy, accumulate)
	case 5:
		dot5BF16AVX512(n, k, x, 4*ldx, w, 2*ldw, y, 4*ldy, accumulate)
	case 6:
		dot6BF16AVX512(n, k, x, 4*ldx, w, 2*ldw, y, 4*ldy, accumulate)
	}
}

// widenBF16 widens whole vectors.
func widenBF16(s ISA, dst []float32, src []uint16) {
	if s == AVX512 {
		widenAVX512(unsafe.SliceData(dst), unsafe.SliceData(src), len(src)/16)
		return
	}
	widenAVX2(unsafe.SliceData(dst), unsafe.SliceData(src), len(src)/8)
}

// roundBF16 rounds whole vectors.
func roundBF16(s ISA, dst []uint16, src []float32) {
	if s == AVX512 {
		roundAVX512(unsafe.SliceData(dst), unsafe.SliceData(src), len(src)/16)
		return
	}
	roundAVX2(unsafe.SliceData(dst), unsafe.SliceData(src), len(src)/8)
}
