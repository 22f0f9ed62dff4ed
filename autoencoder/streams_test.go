package autoencoder_test

import (
	"testing"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// TestStreams: both halves of the decoder give each of several streams bit for bit what they give it alone.
func TestStreams(t *testing.T) {
	c := testkit.TinyAutoencoder()
	c.InitializerRange = .3
	var m *autoencoder.Model
	testkit.EachFormat(t, func() *nn.Params {
		m = autoencoder.New(c, nn.NewParams(), "")
		m.Params.Initialize(3)
		testkit.Perturb(m.Params, 4, .3)
		return m.Params
	}, func(t *testing.T, _ *nn.Params) {
		testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
			for _, n := range []int{1, 4, 16, 64} { // patches of a stream, then tokens
				testkit.CheckStreams(t, e, func(g *nn.Graph, streams int) (in, out []testkit.Rows) {
					x := g.Floats("latents", n, streams, c.LatentSize)
					return []testkit.Rows{{Tensor: x, Outer: n}}, []testkit.Rows{{Tensor: m.DecodePatches(g, x), Outer: n}}
				})
				testkit.CheckStreams(t, e, func(g *nn.Graph, streams int) (in, out []testkit.Rows) {
					x := g.Floats("tokens", n*streams, c.HiddenSize)
					return []testkit.Rows{{Tensor: x, Outer: n}}, []testkit.Rows{{Tensor: m.TokensOf(g, x), Outer: n}}
				})
			}
		})
	})
}
