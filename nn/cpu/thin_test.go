package cpu

import (
	"math/rand/v2"
	"testing"

	"github.com/calm-go/calm/internal/kernel"
)

// TestThinRows: up to thinRows rows of a product with weights are each bit for bit what they are alone.
func TestThinRows(t *testing.T) {
	const k, n = 70, 130
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = r.Float32() - .5
		}
		return s
	}
	x, w := random(thinRows*k), random(n*k)
	product := func(isa kernel.ISA, x []float32, m int) []float32 {
		y := make([]float32, m*n)
		gemmSerial(isa, make([]float32, gemmScratch), &gemmArgs{M: m, N: n, K: k, A: x, ARow: k, ACol: 1, B: w, BRow: 1, BCol: k, C: y, LDC: n})
		return y
	}
	for _, isa := range kernel.Available() {
		var alone []float32
		for i := range thinRows {
			alone = append(alone, product(isa, x[i*k:], 1)...)
		}
		for m := 2; m <= thinRows; m++ {
			for i, v := range product(isa, x, m) {
				if v != alone[i] {
					t.Fatalf("%v: row %d of %d, column %d: %v, alone %v", isa, i/n, m, i%n, v, alone[i])
				}
			}
		}
	}
}
