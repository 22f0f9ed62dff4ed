package kernel

import (
	"fmt"
	"testing"

	"github.com/calm-go/calm/nn/random"
)

// benchVector times a kernel in the first-level cache and in memory; bytes is the number of bytes read and written for
// an element.
func benchVector(b *testing.B, bytes int, run func(s ISA, x [][]float32)) {
	for _, n := range []int{4096, 1 << 22} {
		for _, s := range Available() {
			b.Run(fmt.Sprintf("n=%d/isa=%v", n, s), func(b *testing.B) {
				x := make([][]float32, 6)
				for i := range x {
					x[i] = make([]float32, n)
					Best().Uniform(x[i], random.Stream{Draw: uint32(i)}, 0, .1, 2)
				}
				for b.Loop() {
					run(s, x)
				}
				perElement(b, n, bytes)
			})
		}
	}
}

func BenchmarkExp(b *testing.B) {
	benchVector(b, 8, func(s ISA, x [][]float32) { s.Exp(x[0], x[1]) })
}

func BenchmarkExpSum(b *testing.B) {
	benchVector(b, 8, func(s ISA, x [][]float32) { s.ExpSum(x[0], x[1], 1) })
}

func BenchmarkSiLU(b *testing.B) {
	benchVector(b, 8, func(s ISA, x [][]float32) { s.SiLU(x[0], x[1]) })
}

func BenchmarkSiLUGrad(b *testing.B) {
	benchVector(b, 12, func(s ISA, x [][]float32) { s.SiLUGrad(x[0], x[1], x[2]) })
}

func BenchmarkSwiGLU(b *testing.B) {
	benchVector(b, 12, func(s ISA, x [][]float32) { s.SwiGLU(x[0], x[1], x[2]) })
}

func BenchmarkSwiGLUGrad(b *testing.B) {
	benchVector(b, 20, func(s ISA, x [][]float32) { s.SwiGLUGrad(x[0], x[1], x[2], x[3], x[4]) })
}

func BenchmarkAdd(b *testing.B) {
	benchVector(b, 12, func(s ISA, x [][]float32) { s.Add(x[0], x[1], x[2]) })
}

func BenchmarkAxpy(b *testing.B) {
	benchVector(b, 12, func(s ISA, x [][]float32) { s.Axpy(x[0], 1e-9, x[1]) })
}

func BenchmarkScale(b *testing.B) {
	benchVector(b, 8, func(s ISA, x [][]float32) { s.Scale(x[0], 2, x[1]) })
}

func BenchmarkMulAddTo(b *testing.B) {
	benchVector(b, 16, func(s ISA, x [][]float32) { s.MulAddTo(x[0], x[1], x[2], x[3]) })
}

func BenchmarkDot(b *testing.B) {
	benchVector(b, 8, func(s ISA, x [][]float32) { s.Dot(x[0], x[1]) })
}

func BenchmarkSum(b *testing.B) {
	benchVector(b, 4, func(s ISA, x [][]float32) { s.Sum(x[0]) })
}

func BenchmarkSumSquares(b *testing.B) {
	benchVector(b, 4, func(s ISA, x [][]float32) { s.SumSquares(x[0]) })
}

func BenchmarkMax(b *testing.B) {
	benchVector(b, 4, func(s ISA, x [][]float32) { s.Max(x[0]) })
}

func BenchmarkArgMax(b *testing.B) {
	benchVector(b, 4, func(s ISA, x [][]float32) { s.ArgMax(x[0]) })
}

func BenchmarkRMSNorm(b *testing.B) {
	benchVector(b, 12, func(s ISA, x [][]float32) { s.RMSNorm(x[0], x[1], x[2], 1) })
}

func BenchmarkRMSNormGrad(b *testing.B) {
	benchVector(b, 24, func(s ISA, x [][]float32) { s.RMSNormGrad(x[0], x[1], x[2], x[3], x[4], 1) })
}

func BenchmarkMeanRstd(b *testing.B) {
	benchVector(b, 4, func(s ISA, x [][]float32) { s.MeanRstd(x[0], 1e-5) })
}

func BenchmarkLayerNorm(b *testing.B) {
	benchVector(b, 16, func(s ISA, x [][]float32) { s.LayerNorm(x[0], x[1], x[2], x[3], 0, 1) })
}

func BenchmarkLayerNormGrad(b *testing.B) {
	benchVector(b, 32, func(s ISA, x [][]float32) { s.LayerNormGrad(x[0], x[1], x[2], x[3], x[4], x[5], 0, 1) })
}

func BenchmarkRotary(b *testing.B) {
	benchVector(b, 12, func(s ISA, x [][]float32) {
		h := len(x[0]) / 2
		s.Rotary(x[0], x[1], x[2][:h], x[3][:h])
	})
}

func BenchmarkAdamW(b *testing.B) {
	benchVector(b, 28, func(s ISA, x [][]float32) {
		s.AdamW(x[0], x[1], x[2], x[3], NewAdamWStep(1e-3, .9, .95, 1e-8, .1, 10, 1))
	})
}

func BenchmarkUniform(b *testing.B) {
	benchVector(b, 4, func(s ISA, x [][]float32) { s.Uniform(x[0], random.Stream{}, 0, -1, 1) })
}

func BenchmarkBernoulli(b *testing.B) {
	benchVector(b, 4, func(s ISA, x [][]float32) { s.Bernoulli(x[0], random.Stream{}, 0, .9, 1) })
}

func BenchmarkNormal(b *testing.B) {
	benchVector(b, 4, func(s ISA, x [][]float32) { s.Normal(x[0], random.Stream{}, 0) })
}

// BenchmarkEnergy times the kernels of the energy score, at N samples, M targets and latent size Z.
func BenchmarkEnergy(b *testing.B) {
	const n, m = 8, 100
	for _, z := range []int{32, 64, 128} {
		x, y := make([]float32, n*z), make([]float32, m*z)
		g, d := make([]float32, z), make([]float32, m)
		for _, s := range Available() {
			s.Normal(x, random.Stream{}, 0)
			s.Normal(y, random.Stream{Draw: 1}, 0)
			b.Run(fmt.Sprintf("DistanceSquares/z=%d/isa=%v", z, s), func(b *testing.B) {
				for b.Loop() {
					for i := range n {
						s.DistanceSquares(d, y, z, x[i*z:][:z])
					}
				}
				perElement(b, n*m*z, 4)
			})
			b.Run(fmt.Sprintf("AccumulateDifferences/z=%d/isa=%v", z, s), func(b *testing.B) {
				for b.Loop() {
					for i := range n {
						s.AccumulateDifferences(g, x[i*z:][:z], y, z, d)
					}
				}
				perElement(b, n*m*z, 4)
			})
		}
	}
}

func perElement(b *testing.B, n, bytes int) {
	b.ReportMetric(0, "ns/op")
	perElement := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(n)
	b.ReportMetric(perElement, "ns/elem")
	b.ReportMetric(float64(bytes)/perElement, "GB/s")
}
