// Package autoencoder turns a patch of K tokens into a latent vector and back. The encoder gives the posterior of the
// latent vector, a normal distribution for each dimension. The decoder turns a latent vector into the logits of the
// patch's tokens (docs/spec.md, section 2).
//
// Shapes: P patches, K tokens a patch, V vocabulary, D hidden size, F intermediate size, Z latent size.
package autoencoder

import (
	"fmt"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/layer"
)

// Model holds an autoencoder's parameters. Their names are the reference's, after a prefix.
type Model struct {
	Config Config     // a valid configuration
	Params *nn.Params // the set that the parameters were added to; it may hold those of other parts too

	table            *nn.Param // [V, D], of the encoder's input and of the decoder's output
	encoder          []block
	squeeze          layer.Linear // [D, K*D]
	encoderNorm      layer.RMSNorm
	toPosterior      layer.Linear // [2Z, D]
	fromLatent       layer.Linear // [D, Z]
	decoder          []block
	expand           layer.Linear // [K*D, D]
	decoderNorm      layer.RMSNorm
	declared         []*nn.Param // this model's parameters; Params may hold others
	encHalf, decHalf int
}

// block is x + MLP(RMSNorm(x)). There is no attention: it would lower the autoencoder's loss but make the language
// model worse (docs/spec.md, section 2).
type block struct {
	norm layer.RMSNorm
	mlp  layer.GatedMLP
}

// New declares the parameters of a valid configuration in ps, under names that start with prefix ("" or "ae_model.").
func New(c Config, ps *nn.Params, prefix string) *Model {
	first := len(ps.All())
	m := &Model{Config: c, Params: ps, encHalf: c.NumEncoderLayers / 2, decHalf: c.NumDecoderLayers / 2}
	linear := func(name string, in, out int) layer.Linear {
		return layer.NewLinear(ps, prefix+name, in, out, true, c.InitializerRange)
	}
	norm := func(name string) layer.RMSNorm {
		return layer.NewRMSNorm(ps, prefix+name, c.HiddenSize, c.RMSNormEps)
	}
	blocks := func(name string, n int) []block {
		list := make([]block, n)
		for i := range list {
			at := fmt.Sprintf("%s.%d.", name, i)
			list[i] = block{
				norm: norm(at + "layernorm"),
				mlp:  layer.NewGatedMLP(ps, prefix+at+"mlp", c.HiddenSize, c.IntermediateSize, c.MLPBias, c.InitializerRange),
			}
		}
		return list
	}
	d := c.HiddenSize
	m.table = ps.Matrix(prefix+"encoder.embed_tokens.weight", nn.Gaussian(float32(c.InitializerRange)), c.VocabSize, d)
	m.encoder = blocks("encoder.encoder_layers", c.NumEncoderLayers)
	m.squeeze = linear("encoder.squeeze_layer", c.PatchSize*d, d)
	m.encoderNorm = norm("encoder.norm")
	m.toPosterior = linear("encoder.hidden_to_latent", d, 2*c.LatentSize)
	m.fromLatent = linear("decoder.latent_to_hidden", c.LatentSize, d)
	m.decoder = blocks("decoder.decoder_layers", c.NumDecoderLayers)
	m.expand = linear("decoder.expand_layer", d, c.PatchSize*d)
	m.decoderNorm = norm("decoder.norm")
	m.declared = ps.All()[first:len(ps.All()):len(ps.All())]
	return m
}

// Freeze marks the parameters as never trained.
func (m *Model) Freeze() {
	for _, p := range m.declared {
		p.Frozen = true
	}
}

// Table returns the embedding table [V, D], which is also the decoder's head.
func (m *Model) Table() *nn.Param { return m.table }

// Posterior is the distribution of a patch's latent vector: independent normals.
type Posterior struct {
	Mean, LogStd *nn.Tensor // [P, Z]
}

// Encode adds the encoder to g; ids [P, K] int32.
func (m *Model) Encode(g *nn.Graph, ids *nn.Tensor) Posterior {
	x := m.encode(g, ids)
	return Posterior{
		Mean:   m.toPosterior.Apply(g, x, nn.LinearOptions{Rows: m.Config.LatentSize}),
		LogStd: m.toPosterior.Apply(g, x, nn.LinearOptions{Row: m.Config.LatentSize}),
	}
}

// Mean adds the encoder to g and returns the posterior's mean: the latent vector of a patch where no sample is drawn.
// ids [.., K] int32 of P patches give [P, Z].
func (m *Model) Mean(g *nn.Graph, ids *nn.Tensor) *nn.Tensor {
	return m.toPosterior.Apply(g, m.encode(g, ids), nn.LinearOptions{Rows: m.Config.LatentSize})
}

// encode is the encoder up to its last norm, [P, D].
func (m *Model) encode(g *nn.Graph, ids *nn.Tensor) *nn.Tensor {
	patches := ids.Rows()
	x := g.Embedding(g.Param(m.table), ids, -1) // [P, K, D]
	x = apply(g, m.encoder[:m.encHalf], x)
	x = g.Reshape(x, patches, m.Config.PatchSize*m.Config.HiddenSize)
	x = m.squeeze.Apply(g, x, nn.LinearOptions{}) // [P, D]
	x = apply(g, m.encoder[m.encHalf:2*m.encHalf], x)
	return m.encoderNorm.Apply(g, x)
}

// apply runs x through blocks. Each half of the encoder and of the decoder has floor(n/2) of the n blocks. If n is odd,
// the last block is declared and never used, as in the reference.
func apply(g *nn.Graph, blocks []block, x *nn.Tensor) *nn.Tensor {
	for _, b := range blocks {
		x = b.mlp.Apply(g, b.norm.Apply(g, x), x)
	}
	return x
}
