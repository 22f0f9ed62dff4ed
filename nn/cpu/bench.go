package cpu

// MatMul prepares the product C = A·B, a [M, K] by b [K, N] into c [M, N], and returns what computes it on all threads
// of the engine. With aT, a is stored as [K, M]; with bT, b is stored as [N, K]. Rows follow each other without gaps.
// It is the product of Linear on its own, for benchmarks: Y = X·Wᵀ is (false, true), dX = dY·W is (false, false),
// dW = dYᵀ·X is (true, false). A run allocates nothing; it panics where a slice is shorter than its shape.
func (e *Engine) MatMul(m, n, k int, a, b, c []float32, aT, bT bool) func() {
	args := gemmArgs{M: m, N: n, K: k, A: a, ARow: k, ACol: 1, B: b, BRow: n, BCol: 1, C: c, LDC: n}
	if aT {
		args.ARow, args.ACol = 1, m
	}
	if bT {
		args.BRow, args.BCol = 1, k
	}
	return newGemm(e.pool, e.isa, args).run
}

// AlignedFloats returns n zeros that begin at a cache line, as the engine's own buffers do.
func AlignedFloats(n int) []float32 { return alignedFloats(n) }
