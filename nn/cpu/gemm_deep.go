package cpu

import "math/bits"

// The gradient of a weight, dYᵀ·X, has few elements that are long sums: cut into enough blocks for all threads, it would
// pack the same rows again for each. So K is cut instead: each piece of K makes a product of its own, the first in C, the
// others in memory the threads share, and these are added in order. Where K is cut follows from the shape alone.

// depth returns the number of pieces of K, a power of two: 1 unless A is transposed.
func (a *gemmArgs) depth() int {
	const (
		small    = 1 << 16 // elements of C at most
		shortest = 224     // terms of a piece
		work     = 1 << 20 // multiply-adds of a piece, some 20 µs
		most     = 8
	)
	if a.ACol == 1 || a.M*a.N > small || a.ends() {
		return 1
	}
	pieces := min(a.K/shortest, a.M*a.N*a.K/work, most)
	return 1 << max(bits.Len(uint(pieces))-1, 0)
}

// part returns the product of piece d of K.
func (g *gemm) part(d int) gemmArgs {
	a := g.args
	size := roundUp((a.K+g.depth-1)/g.depth, 8)
	lo, hi := d*size, min((d+1)*size, a.K)
	a.A, a.B, a.K = a.A[lo*a.ACol:], a.B[lo*a.BRow:], hi-lo
	if d > 0 {
		a.C, a.LDC, a.Accumulate = g.sumsOf(d), a.N, false
	}
	return a
}

// sumsOf returns [M, N] sums over piece d > 0 of K.
func (g *gemm) sumsOf(d int) []float32 {
	size := g.args.M * g.args.N
	return g.pool.shared[g.sums+(d-1)*size:][:size]
}

// addSums adds the sums of all pieces of K to rows of C.
func (g *gemm) addSums(_, i int) {
	a := &g.args
	lo, hi := cutRows(a.M, a.N).piece(i)
	for d := 1; d < g.depth; d++ {
		sums := g.sumsOf(d)
		for r := lo; r < hi; r++ {
			c := a.C[r*a.LDC:][:a.N]
			g.isa.Add(c, c, sums[r*a.N:(r+1)*a.N])
		}
	}
}
