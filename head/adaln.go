package head

import (
	"fmt"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/layer"
)

// adaLN is the network that the diffusion and the flow head share: an MLP on the noisy latent vector, whose layer norms
// are shifted, scaled and gated by time and hidden state (docs/spec.md, section 3.2).
type adaLN struct {
	hidden, latent, out int     // D, Z, outputs
	timeScale           float32 // factor from a head's times to the times of the embedding, which are integers

	time0, time2 layer.Linear // [D, sinusoidWidth], [D, D]
	cond, input  layer.Linear // [D, D], [D, Z]
	blocks       []adaLNBlock
	finalMod     layer.Linear // [2D, D]: shift, scale
	final        layer.Linear // [out, D]
}

type adaLNBlock struct {
	norm       layer.LayerNorm
	mlp0, mlp2 layer.Linear // [D, D]
	mod        layer.Linear // [3D, D]: shift, scale, gate
}

// sinusoidWidth is the width of the sinusoidal embedding of a time.
const sinusoidWidth = 256

// netPrefix begins the names of the network's parameters.
const netPrefix = "generative_head.net."

// newAdaLN declares the network's parameters. Linear layers start Xavier-uniform, the time's MLP from N(0, .02), and
// the modulations, the gates and the last layer at zero, so that the untrained network returns 0.
func newAdaLN(blocks, hidden, latent, out int, timeScale float32, ps *nn.Params) *adaLN {
	from := func(name string, in, out int, init nn.Init) layer.Linear {
		return layer.NewLinearFrom(ps, netPrefix+name, in, out, true, init)
	}
	xavier := func(name string, in, out int) layer.Linear { return from(name, in, out, nn.XavierUniform(out, in)) }
	zero, d := nn.Constant(0), hidden
	a := &adaLN{hidden: hidden, latent: latent, out: out, timeScale: timeScale,
		time0: from("time_embed.mlp.0", sinusoidWidth, d, nn.Gaussian(.02)), time2: from("time_embed.mlp.2", d, d, nn.Gaussian(.02)),
		cond: xavier("cond_embed", d, d), input: xavier("input_proj", latent, d),
	}
	for i := range blocks {
		at := fmt.Sprintf("res_blocks.%d.", i)
		a.blocks = append(a.blocks, adaLNBlock{
			norm: layer.NewLayerNorm(ps, netPrefix+at+"in_ln", d),
			mlp0: xavier(at+"mlp.0", d, d), mlp2: xavier(at+"mlp.2", d, d),
			mod: from(at+"adaLN_modulation.1", d, 3*d, zero),
		})
	}
	a.finalMod = from("final_layer.adaLN_modulation.1", d, 2*d, zero)
	a.final = from("final_layer.linear", d, out, zero)
	return a
}

// conditions adds to g the part of the network that does not depend on the noisy vectors. times [R] and hidden states
// [.., D] of P rows, which repeat if there are fewer than R, give shift, scale and gate of each block, then shift and
// scale of the last layer, each [R, D].
func (a *adaLN) conditions(g *nn.Graph, hidden, times *nn.Tensor) []*nn.Tensor {
	silu, d := nn.SiLUActivation, a.hidden
	c := a.cond.Apply(g, g.Reshape(hidden, hidden.Rows(), d), nn.LinearOptions{}) // [P, D]
	t := a.time0.Apply(g, g.SinusoidalEmbedding(times, a.timeScale, sinusoidWidth), nn.LinearOptions{Act: silu})
	y := a.time2.Apply(g, t, nn.LinearOptions{Add: c, Act: silu}) // [R, D]
	var all []*nn.Tensor
	parts := func(l layer.Linear, n int) {
		for i := range n {
			all = append(all, l.Apply(g, y, nn.LinearOptions{Row: i * d, Rows: d}))
		}
	}
	for _, b := range a.blocks {
		parts(b.mod, 3)
	}
	parts(a.finalMod, 2)
	return all
}

// apply adds the rest of the network to g: noisy vectors x [.., Z] give predictions [.., out]. Conditions have as many
// rows as x, or fewer, which repeat.
func (a *adaLN) apply(g *nn.Graph, x *nn.Tensor, conditions []*nn.Tensor) *nn.Tensor {
	x = a.input.Apply(g, x, nn.LinearOptions{})
	for _, b := range a.blocks {
		shift, scale, gate := conditions[0], conditions[1], conditions[2]
		h := b.mlp0.Apply(g, g.Modulate(b.norm.Apply(g, x), shift, scale), nn.LinearOptions{Act: nn.SiLUActivation})
		x = g.GatedAdd(x, gate, b.mlp2.Apply(g, h, nn.LinearOptions{}))
		conditions = conditions[3:]
	}
	x = g.Modulate(g.LayerNorm(x, nil, nil, layer.LayerNormEps), conditions[0], conditions[1])
	return a.final.Apply(g, x, nn.LinearOptions{})
}

// numConditions is the number of tensors that conditions adds.
func (a *adaLN) numConditions() int { return 3*len(a.blocks) + 2 }
