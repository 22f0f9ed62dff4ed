package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/calm-go/calm/internal/kernel"
)

// thinCase is a product of weights, of which rows of several streams are computed.
type thinCase struct {
	n, k    int
	weights string // the format
	w       []float32
	half    []uint16
	narrow  []int8
	scales  []float32
}

func newThinCase(n, k int, weights string) thinCase {
	r := rand.New(rand.NewPCG(1, 2))
	c := thinCase{n: n, k: k, weights: weights}
	switch weights {
	case "bfloat16":
		for range n * k {
			c.half = append(c.half, uint16(math.Float32bits(r.Float32()-.5)>>16))
		}
	case "int8":
		for range n * k {
			c.narrow = append(c.narrow, int8(r.IntN(255)-127))
		}
		c.scales = randomFloats(r, n)
	default:
		c.w = randomFloats(r, n*k)
	}
	return c
}

func randomFloats(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = r.Float32() - .5
	}
	return s
}

// times returns x [m, k] of that many streams times the weights, with an activation at the end.
func (c thinCase) times(p *pool, isa kernel.ISA, x []float32, streams int) []float32 {
	m := len(x) / c.k
	y := make([]float32, m*c.n)
	newGemm(p, isa, gemmArgs{M: m, N: c.n, K: c.k, Streams: streams, A: x, ARow: c.k, ACol: 1, B: c.w, BHalf: c.half, BInt8: c.narrow,
		BScale: c.scales, BRow: 1, BCol: c.k, C: y, LDC: c.n, Act: actSiLU}).run()
	return y
}

// TestThinRows: up to thinRows rows of a product with weights are each bit for bit what they are alone.
func TestThinRows(t *testing.T) {
	const k, n = 70, 130
	p := newPool(2)
	defer p.close()
	for _, weights := range []string{"float32", "bfloat16", "int8"} {
		c := newThinCase(n, k, weights)
		x := randomFloats(rand.New(rand.NewPCG(3, 4)), thinRows*k)
		for _, isa := range kernel.Available() {
			var alone []float32
			for i := range thinRows {
				alone = append(alone, c.times(p, isa, x[i*k:(i+1)*k], 1)...)
			}
			for m := 2; m <= thinRows; m++ {
				for i, v := range c.times(p, isa, x[:m*k], 1) {
					if v != alone[i] {
						t.Fatalf("%v, %s: row %d of %d, column %d: %v, alone %v", isa, weights, i/n, m, i%n, v, alone[i])
					}
				}
			}
		}
	}
}

// TestStreamRows: each stream's rows of a product are bit for bit what they are alone, whether they are few or many.
func TestStreamRows(t *testing.T) {
	p := newPool(2)
	defer p.close()
	for _, weights := range []string{"float32", "bfloat16", "int8"} {
		for _, shape := range [][2]int{{130, 70}, {37, 650}, {1000, 9}, {5, 3}, {25, 2085}} {
			c := newThinCase(shape[0], shape[1], weights)
			for _, isa := range kernel.Available() {
				for _, each := range []int{1, 2, 7, 16, 17, 40} { // rows of a stream
					var alone []float32
					x := randomFloats(rand.New(rand.NewPCG(3, 4)), 16*each*c.k)
					for s := range 16 {
						alone = append(alone, c.times(p, isa, x[s*each*c.k:(s+1)*each*c.k], 1)...)
					}
					for _, streams := range []int{2, 3, 4, 8, 16} {
						what := fmt.Sprintf("%v, %s, %dx%d, %d streams of %d rows", isa, weights, c.n, c.k, streams, each)
						for i, v := range c.times(p, isa, x[:streams*each*c.k], streams) {
							if v != alone[i] {
								t.Fatalf("%s: stream %d, row %d, column %d: %v, alone %v", what, i/c.n/each, i/c.n%each, i%c.n, v, alone[i])
							}
						}
					}
				}
			}
		}
	}
}

// TestStreamsReadWeightsOnce: a product of few rows a stream, and many streams, is cut along the weights. Only where these
// are few is it cut along the rows.
func TestStreamsReadWeightsOnce(t *testing.T) {
	for _, c := range []struct{ m, n, k, blocks int }{
		{256, 128256, 1024, 972}, {64, 1024, 1024, 8}, {16, 64, 64, 1}, {256, 64, 64, 4}, {1024, 64, 64, 4}, {33, 64, 64, 3},
	} {
		a := gemmArgs{M: c.m, N: c.n, K: c.k, Streams: c.m, ARow: c.k, ACol: 1, BRow: 1, BCol: c.k, LDC: c.n}
		p := planGemm(kernel.Best(), &a, 2)
		if !p.thin || p.pieces(&a) != c.blocks {
			t.Errorf("%d streams by %dx%d: thin: %t, %d blocks, want %d", c.m, c.n, c.k, p.thin, p.pieces(&a), c.blocks)
		}
	}
}
