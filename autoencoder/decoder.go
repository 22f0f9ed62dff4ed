package autoencoder

import "github.com/calm-go/calm/nn"

// The decoder has two halves: DecodePatches runs once a patch, DecodeTokens and the product with the vocabulary once a
// token. A program that needs some tokens of some patches runs the second half for these alone.

// DecodePatches adds the first half of the decoder to g: latents [.., Z] of P rows give [P, K*D], of which row p holds the
// K inputs of the second half for the tokens of patch p.
func (m *Model) DecodePatches(g *nn.Graph, latents *nn.Tensor) *nn.Tensor {
	x := m.fromLatent.Apply(g, g.Reshape(latents, latents.Rows(), m.Config.LatentSize), nn.LinearOptions{}) // [P, D]
	x = apply(g, m.decoder[:m.decHalf], x)
	return m.expand.Apply(g, x, nn.LinearOptions{})
}

// DecodeTokens adds the second half of the decoder to g up to its last norm: inputs of that many tokens, [n, D], give
// hidden states [n, D], whose products with the table are the tokens' logits.
func (m *Model) DecodeTokens(g *nn.Graph, x *nn.Tensor) *nn.Tensor {
	return m.decoderNorm.Apply(g, apply(g, m.decoder[m.decHalf:2*m.decHalf], x))
}

// Decode adds the decoder to g up to its last norm: latents [.., Z] of P rows give hidden states [P*K, D], whose
// products with the table are the logits of the patches' tokens.
func (m *Model) Decode(g *nn.Graph, latents *nn.Tensor) *nn.Tensor {
	x := m.DecodePatches(g, latents)
	return m.DecodeTokens(g, g.Reshape(x, latents.Rows()*m.Config.PatchSize, m.Config.HiddenSize))
}

// Tokens adds the decoder and the choice of the likeliest tokens to g: latents [.., Z] of P rows give ids [P*K] int32.
func (m *Model) Tokens(g *nn.Graph, latents *nn.Tensor) *nn.Tensor {
	return g.ArgMax(m.Decode(g, latents), g.Param(m.table))
}

// TokensOf adds the second half of the decoder and the choice of the likeliest tokens to g: inputs [n, D] of tokens, which
// are parts of the rows of DecodePatches, give ids [n] int32.
func (m *Model) TokensOf(g *nn.Graph, x *nn.Tensor) *nn.Tensor {
	return g.ArgMax(m.DecodeTokens(g, x), g.Param(m.table))
}
