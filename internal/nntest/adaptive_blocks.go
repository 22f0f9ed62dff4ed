package nntest

import "github.com/calm-go/calm/nn"

// adaptiveBlocks: two blocks like those of the diffusion and flow heads: operations pass gradients on and share inputs.
func adaptiveBlocks() Case {
	const n, d = 6, 5
	return graphCase("adaptive blocks", func(b *Builder) {
		g := b.Graph
		w := func(name string) *nn.Tensor { return b.Param(name, -.6, .6, d, d) }
		s := g.Linear(b.Param("s", -1, 1, n, d), w("ws"), nil, nn.LinearOptions{})
		x := g.Linear(b.Param("x", -1, 1, n, d), w("wx"), nil, nn.LinearOptions{})
		for _, at := range []string{"0", "1"} {
			m := func(name string) *nn.Tensor { return g.Linear(s, w(name+at), nil, nn.LinearOptions{}) }
			y := g.Modulate(g.LayerNorm(x, nil, nil, .01), m("shift"), m("scale"))
			x = g.GatedAdd(x, m("gate"), g.Linear(y, w("mlp"+at), nil, nn.LinearOptions{}))
		}
		b.Differentiate(g.Modulate(x, s, s)) // shift and scale are one tensor
		b.Differentiate(g.GatedAdd(x, x, x))
	}, func(v Values) [][]float64 {
		lin := func(x []float64, w string) []float64 { return times(x, d, v.F(w), d, 0, 0, d) }
		s, x := lin(v.F("s"), "ws"), lin(v.F("x"), "wx")
		for _, at := range []string{"0", "1"} {
			y := modulate(layerNorm(x, nil, nil, d, float64(float32(.01))), lin(s, "shift"+at), lin(s, "scale"+at))
			x = gatedAdd(x, lin(s, "gate"+at), lin(y, "mlp"+at))
		}
		return [][]float64{modulate(x, s, s), gatedAdd(x, x, x)}
	})
}
