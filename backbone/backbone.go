// Package backbone is the causal transformer that calm's language model and its token-level baseline share: Llama's
// layers and final norm (docs/spec.md, section 3). It runs over whole rows in training, and with a cache in generation.
//
// Shapes: B rows, T positions, D hidden size, F intermediate size; in shared-prefix decoding, R branches.
package backbone

import (
	"fmt"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/layer"
)

// Model holds a backbone's parameters. Their names are the reference's, after a prefix.
type Model struct {
	Config Config // a valid configuration

	blocks []block
	norm   layer.RMSNorm
}

type block struct {
	inputNorm, postNorm layer.RMSNorm
	q, k, v, o          layer.Linear
	mlp                 layer.GatedMLP
}

// New declares the parameters of a valid configuration in ps, under names that start with prefix ("transformer." in
// the language model, "model." in the baseline).
func New(c Config, ps *nn.Params, prefix string) *Model {
	m := &Model{Config: c, blocks: make([]block, c.NumHiddenLayers)}
	norm := func(name string) layer.RMSNorm { return layer.NewRMSNorm(ps, prefix+name, c.HiddenSize, c.RMSNormEps) }
	keys := c.HeadSize() * c.NumKeyValueHeads
	for i := range m.blocks {
		at := fmt.Sprintf("layers.%d.", i)
		linear := func(name string, in, out int) layer.Linear {
			return layer.NewLinear(ps, prefix+at+"self_attn."+name, in, out, false, c.InitializerRange)
		}
		m.blocks[i] = block{
			inputNorm: norm(at + "input_layernorm"),
			q:         linear("q_proj", c.HiddenSize, c.HiddenSize),
			k:         linear("k_proj", c.HiddenSize, keys),
			v:         linear("v_proj", c.HiddenSize, keys),
			o:         linear("o_proj", c.HiddenSize, c.HiddenSize),
			postNorm:  norm(at + "post_attention_layernorm"),
			mlp:       layer.NewGatedMLP(ps, prefix+at+"mlp", c.HiddenSize, c.IntermediateSize, false, c.InitializerRange),
		}
	}
	m.norm = norm("norm")
	return m
}

// Forward adds the backbone to g: x [B, T, D], whose rows begin at position 0, gives the hidden states [B, T, D] after
// the final norm. It is differentiable.
func (m *Model) Forward(g *nn.Graph, x *nn.Tensor) *nn.Tensor {
	hidden, _ := m.ForwardCaches(g, x)
	return hidden
}

// ForwardCaches is Forward and also returns each layer's keys and values, [B, T, key-value heads * head size]. To read
// them after a run, mark them with Outputs.
func (m *Model) ForwardCaches(g *nn.Graph, x *nn.Tensor) (hidden *nn.Tensor, caches []Cache) {
	hidden = m.run(g, x, nil, func(_ int, q, k, v *nn.Tensor) *nn.Tensor {
		caches = append(caches, Cache{k, v})
		return g.Attention(q, k, v, m.Config.NumAttentionHeads, m.Config.NumKeyValueHeads)
	})
	return hidden, caches
}

// Cache is a layer's keys and values: [B or slots, positions, key-value heads * head size] each.
type Cache struct{ K, V *nn.Tensor }

// Caches adds a cache for each layer to g, as states, with room for capacity positions in each of that many slots.
func (m *Model) Caches(g *nn.Graph, slots, capacity int) []Cache {
	list := make([]Cache, len(m.blocks))
	keys := m.Config.HeadSize() * m.Config.NumKeyValueHeads
	for i := range list {
		list[i] = Cache{
			K: g.State(fmt.Sprintf("cache.%d.k", i), slots, capacity, keys),
			V: g.State(fmt.Sprintf("cache.%d.v", i), slots, capacity, keys),
		}
	}
	return list
}

// Continue adds the backbone to g for x [B, T, D]. Row b continues a context: it has the positions start[b],
// start[b]+1, .., and the keys and values of the positions before are in slot[b] of the caches. A run appends its own to
// the slot. A row of slot -1 is absent, and its result is not defined. slot and start are [B] int32. There is no gradient.
func (m *Model) Continue(g *nn.Graph, x *nn.Tensor, caches []Cache, slot, start *nn.Tensor) *nn.Tensor {
	return m.run(g, x, start, func(i int, q, k, v *nn.Tensor) *nn.Tensor {
		return g.CachedAttention(q, k, v, caches[i].K, caches[i].V, slot, start, m.Config.NumAttentionHeads, m.Config.NumKeyValueHeads)
	})
}

// Branch adds the backbone to g for x [R, T, D], for shared-prefix decoding. Row r continues the first length[r]
// positions of context number context[r] in the caches. A row of context -1 is absent, and its result is not defined.
// context and length are [R] int32. A run does not change the caches. There is no gradient.
func (m *Model) Branch(g *nn.Graph, x *nn.Tensor, caches []Cache, context, length *nn.Tensor) *nn.Tensor {
	return m.run(g, x, length, func(i int, q, k, v *nn.Tensor) *nn.Tensor {
		return g.PrefixAttention(q, k, v, caches[i].K, caches[i].V, context, length, m.Config.NumAttentionHeads, m.Config.NumKeyValueHeads)
	})
}

// run adds the layers and the final norm. attend adds the attention of layer i; start is as in nn.Graph.Rotary.
func (m *Model) run(g *nn.Graph, x, start *nn.Tensor, attend func(i int, q, k, v *nn.Tensor) *nn.Tensor) *nn.Tensor {
	c, plain := m.Config, nn.LinearOptions{}
	for i, b := range m.blocks {
		n := b.inputNorm.Apply(g, x)
		q := g.Rotary(b.q.Apply(g, n, plain), start, c.NumAttentionHeads, c.RopeTheta)
		k := g.Rotary(b.k.Apply(g, n, plain), start, c.NumKeyValueHeads, c.RopeTheta)
		y := attend(i, q, k, b.v.Apply(g, n, plain))
		x = b.o.Apply(g, y, nn.LinearOptions{Add: x})
		x = b.mlp.Apply(g, b.postNorm.Apply(g, x), x)
	}
	return m.norm.Apply(g, x)
}
