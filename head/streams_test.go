package head_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// TestStreams: a sampler for several streams gives each bit for bit the draws of the stream alone, for weights of every format
// and few and many draws. The conditions of the diffusion head, which takes 100 steps, are computed in several chunks.
func TestStreams(t *testing.T) {
	const d, z = 24, 7
	for _, kind := range head.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			var h head.Head
			testkit.EachFormat(t, func() *nn.Params {
				ps := nn.NewParams()
				h = kind.New(kind.Options, d, z, .3, ps)
				ps.Initialize(1)
				testkit.Perturb(ps, 2, 1e-4)
				return ps
			}, func(t *testing.T, _ *nn.Params) {
				testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
					for _, n := range []int{1, 16, 64} {
						testStreams(t, e, h, d, n)
					}
				})
			})
		})
	}
}

func testStreams(t *testing.T, e *cpu.Engine, h head.Head, d, n int) {
	t.Helper()
	counts := testkit.StreamCounts
	if n > 16 {
		counts = []int{3} // for the time it takes
	}
	most, size := slices.Max(counts), h.NoiseSize()
	hidden, one := normal(1, most*d), h.NewSampler(e, 1, n)
	noise, alone := make([][]float32, most), make([][]float32, most)
	diverged := make([][]bool, most)
	for s := range most {
		noise[s] = make([]float32, n*size)
		one.FillNoise(noise[s], random.Stream{Seed: uint64(s)}, 3)
		for i := range noise[s] {
			noise[s][i] *= 1e-3 // the draws of a diffusion head that is not trained diverge from more
		}
		alone[s], diverged[s] = drawAll(t, one, n, hidden[s*d:(s+1)*d], noise[s])
	}
	for _, streams := range counts {
		all := make([]float32, n*streams*size)
		for i := range n * streams {
			copy(all[i*size:(i+1)*size], noise[i%streams][i/streams*size:])
		}
		latents, bad := drawAll(t, h.NewSampler(e.ForStreams(streams), streams, n), n*streams, hidden[:streams*d], all)
		z := len(latents) / (n * streams)
		for i := range n * streams {
			s, draw := i%streams, i/streams
			if !slices.Equal(latents[i*z:(i+1)*z], alone[s][draw*z:(draw+1)*z]) || bad[i] != diverged[s][draw] {
				t.Fatalf("%d draws, %d streams: draw %d of stream %d differs from that of the stream alone", n, streams, draw, s)
			}
		}
	}
}

// drawAll returns a sampler's n latent vectors, and which of them have diverged, not all.
func drawAll(t *testing.T, s head.Sampler, n int, hidden, noise []float32) (latents []float32, bad []bool) {
	t.Helper()
	latents, err := s.Sample(hidden, noise)
	bad = make([]bool, n)
	if diverged, some := errors.AsType[*head.DivergedError](err); some {
		bad = diverged.Draws
	} else if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(bad, false) {
		t.Fatal("all draws diverged")
	}
	return slices.Clone(latents), bad
}
