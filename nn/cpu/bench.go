package cpu

import "github.com/calm-go/calm/nn"

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

// MatMulWeights prepares the product Y = X·Wᵀ of Linear with weights of any format, x [m, columns of w] into y [m, rows of w],
// and returns what computes it on all threads of the engine.
func (e *Engine) MatMulWeights(m int, x []float32, w *nn.Param, y []float32) func() {
	n, k := w.Shape[0], w.Shape[1]
	args := gemmArgs{M: m, N: n, K: k, A: x, ARow: k, ACol: 1, BRow: 1, BCol: k, C: y, LDC: n}
	args.setB(weights(w), 0)
	return newGemm(e.pool, e.isa, args).run
}

// AlignedFloats returns n zeros that begin at a cache line, as the engine's own buffers do.
func AlignedFloats(n int) []float32 { return alignedFloats(n) }
