package kernel

// DotRows computes Y = X·Wᵀ, or Y += X·Wᵀ with accumulate, for few rows of X, reading W once and in order:
//
//	X(i,l) = x[i*ldx+l]  // [m, k]
//	W(j,l) = w[j*ldw+l]  // [n, k]
//	Y(i,j) = y[i*ldy+j]  // [m, n]
//
// An element's sum is ordered by k alone. With scratch memory of [DotScratch] elements, many rows of X are multiplied by tiles
// of W, which is faster and gives the same bits; scratch may be nil.
func (s ISA) DotRows(m, n, k int, x []float32, ldx int, w []float32, ldw int, y []float32, ldy int, accumulate bool, scratch []float32) {
	if m <= 0 || n <= 0 {
		return
	}
	k = max(k, 0)
	needDots(m, n, k, len(x), ldx, len(w), ldw, len(y), ldy)
	if s == Portable || k == 0 {
		dotRowsGo(m, n, k, x, ldx, w, ldw, y, ldy, accumulate)
		return
	}
	dotRows(s, m, n, k, x, ldx, w, ldw, y, ldy, accumulate, scratch)
}

// DotRowsBF16 is [ISA.DotRows] for a W of bfloat16. It gives bit for bit what DotRows gives for W widened to float32.
func (s ISA) DotRowsBF16(m, n, k int, x []float32, ldx int, w []uint16, ldw int, y []float32, ldy int, accumulate bool, scratch []float32) {
	if m <= 0 || n <= 0 {
		return
	}
	k = max(k, 0)
	needDots(m, n, k, len(x), ldx, len(w), ldw, len(y), ldy)
	if s == Portable || k == 0 {
		dotRowsGo(m, n, k, x, ldx, w, ldw, y, ldy, accumulate)
		return
	}
	dotRowsBF16(s, m, n, k, x, ldx, w, ldw, y, ldy, accumulate, scratch)
}

// DotRowsInt8 is [ISA.DotRows] for a W of int8. Its sums are ordered otherwise than those of DotRows, also by k alone.
func (s ISA) DotRowsInt8(m, n, k int, x []float32, ldx int, w []int8, ldw int, y []float32, ldy int, accumulate bool) {
	if m <= 0 || n <= 0 {
		return
	}
	k = max(k, 0)
	needDots(m, n, k, len(x), ldx, len(w), ldw, len(y), ldy)
	if s == Portable || k == 0 {
		dotRowsGo(m, n, k, x, ldx, w, ldw, y, ldy, accumulate)
		return
	}
	dotRowsInt8(s, m, n, k, x, ldx, w, ldw, y, ldy, accumulate)
}

const (
	dotPiece = 1024          // elements of a row that are multiplied together
	dotWide  = dotPiece + 16 // from a widened row to the next
	dotBand  = 12            // rows of W at most that are multiplied by all rows of X before the next
)

// DotScratch returns how many elements of scratch memory a product of m rows of k elements needs to be computed in tiles.
func DotScratch(m, k int) int {
	return m*roundUp(k, 16) + dotBand*dotWide + m*dotBand*2*16
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

func needDots(m, n, k, x, ldx, w, ldw, y, ldy int) {
	needLen("y", y, (m-1)*ldy+n)
	if k > 0 {
		needLen("x", x, (m-1)*ldx+k)
		needLen("w", w, (n-1)*ldw+k)
	}
}

func dotRowsGo[T weight](m, n, k int, x []float32, ldx int, w []T, ldw int, y []float32, ldy int, accumulate bool) {
	for j := range n {
		wj := w[min(j*ldw, len(w)):]
		for i := range m {
			s := dotChainsGo(x[min(i*ldx, len(x)):][:k], wj[:k])
			if accumulate {
				s += y[i*ldy+j]
			}
			y[i*ldy+j] = s
		}
	}
}

// dotChainsGo sums in four chains, so that it does not wait for the latency of every addition.
func dotChainsGo[T weight](x []float32, y []T) float32 {
	var s0, s1, s2, s3 float32
	y = y[:len(x)]
	l := 0
	for ; l+4 <= len(x); l += 4 {
		a, b := x[l:l+4], y[l:l+4]
		s0 += a[0] * float(b[0])
		s1 += a[1] * float(b[1])
		s2 += a[2] * float(b[2])
		s3 += a[3] * float(b[3])
	}
	for ; l < len(x); l++ {
		s0 += x[l] * float(y[l])
	}
	return (s0 + s1) + (s2 + s3)
}
