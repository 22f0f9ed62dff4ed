package cpu

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/calm-go/calm/internal/kernel"
)

// gemmShapes are the sizes of products, M x N x K, in training and in drawing.
var gemmShapes = [][3]int{
	{1024, 1024, 1024},
	{4096, 512, 1280}, {4096, 1280, 512}, {2048, 4096, 256}, {8192, 256, 640}, {8192, 640, 256},
	{1024, 1024, 2752}, {1024, 2752, 1024}, {640, 256, 8192},
	{992, 512, 128}, {992, 128, 320}, {124, 512, 128}, {124, 128, 512}, {124, 320, 128}, {512, 128, 124}, {128, 128, 124},
	{64, 64, 32}, {64, 64, 128},
	{1, 1024, 1024}, {4, 2752, 1024}, {8, 4096, 2752}, {16, 1024, 1024}, {32, 512, 128},
}

// BenchmarkGemm measures products in the three layouts of a training step: nt is X·Wᵀ, nn is dY·W, tn is dYᵀ·X. Each
// reports the rate of multiply-adds on registers too, measured just before on the same number of threads.
func BenchmarkGemm(b *testing.B) {
	for _, s := range gemmShapes {
		for _, trans := range []string{"nt", "nn", "tn"} {
			for _, isa := range kernel.Available() {
				if isa == kernel.Portable && s[0]*s[1]*s[2] > 1<<24 {
					continue
				}
				for threads := 1; threads <= 2; threads++ {
					name := fmt.Sprintf("shape=%dx%dx%d/trans=%s/isa=%v/threads=%d", s[0], s[1], s[2], trans, isa, threads)
					b.Run(name, func(b *testing.B) { benchmarkGemm(b, s[0], s[1], s[2], trans, isa, threads) })
				}
			}
		}
	}
}

func benchmarkGemm(b *testing.B, m, n, k int, trans string, isa kernel.ISA, threads int) {
	p := newPool(threads)
	defer p.close()
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []float32 {
		s := alignedFloats(n)
		for i := range s {
			s[i] = r.Float32() - .5
		}
		return s
	}
	a := gemmArgs{M: m, N: n, K: k, A: random(m * k), ARow: k, ACol: 1, B: random(k * n), BRow: n, BCol: 1, C: alignedFloats(m * n), LDC: n}
	if trans == "nt" {
		a.BRow, a.BCol = 1, k
	}
	if trans == "tn" {
		a.ARow, a.ACol = 1, m
	}
	g := newGemm(p, isa, a)
	peak := fmaPeak(isa, threads, 3*time.Millisecond)
	for b.Loop() {
		g.run()
	}
	peak = (peak + fmaPeak(isa, threads, 3*time.Millisecond)) / 2
	rate := 2 * float64(m) * float64(n) * float64(k) * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate/1e9, "GFLOP/s")
	b.ReportMetric(rate/peak, "of-peak")
	if m <= thinRows {
		b.ReportMetric(4*float64(n*k+m*k+m*n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
	}
}

// fmaPeak measures multiply-adds on registers in FLOP/s.
func fmaPeak(isa kernel.ISA, threads int, d time.Duration) float64 {
	const chunk = 10000
	count := make([]int, threads)
	var wg sync.WaitGroup
	start := time.Now()
	for w := range threads {
		wg.Go(func() {
			for time.Since(start) < d {
				isa.FMAPeak(chunk)
				count[w]++
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, c := range count {
		sum += c
	}
	return float64(sum) * chunk * float64(isa.FMAPeakFLOPs()) / time.Since(start).Seconds()
}

// BenchmarkReadSum measures the rate memory is read at: the ceiling of products with few rows.
func BenchmarkReadSum(b *testing.B) {
	x := alignedFloats(64 << 20)
	for i := range x {
		x[i] = 1
	}
	for threads := 1; threads <= 2; threads++ {
		b.Run(fmt.Sprintf("isa=%v/threads=%d", kernel.Best(), threads), func(b *testing.B) {
			p := newPool(threads)
			defer p.close()
			b.SetBytes(int64(4 * len(x)))
			f := func(_, i int) { kernel.Best().ReadSum(x[i<<16 : (i+1)<<16]) }
			for b.Loop() {
				p.run(len(x)>>16, f)
			}
		})
	}
}
