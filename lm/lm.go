// Package lm is calm's language model: a causal transformer over patches of K tokens whose head draws the next patch's
// latent vector, and a frozen autoencoder that gives the targets and turns latent vectors into tokens (docs/spec.md,
// section 3).
//
// The network is in lm.go, graphs.go and sampler.go. The methods for training, measuring, writing and counting are in
// objective.go, measure*.go, write.go and work.go.
//
// Shapes: B rows, T tokens, K tokens a patch, L = T/K patches, P = B*(L-1) predicted positions, V vocabulary, D hidden
// size, Z latent size, N samples a position; in drawing, R rows and n draws a row.
package lm

import (
	"fmt"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/layer"
)

// AEPrefix begins the names of the frozen autoencoder's parameters.
const AEPrefix = "ae_model."

// Model holds a language model's parameters. Their names are the reference's.
type Model struct {
	Config      Config             // a valid configuration
	Autoencoder *autoencoder.Model // frozen
	Backbone    *backbone.Model    // the transformer over patches
	Head        head.Head          // the generative head
	HeadKind    head.Kind          // of Head
	Params      *nn.Params         // all parameters, the autoencoder's too

	embed      *nn.Param // [V, D]; with what follows, nil where only latents are the input
	proj0      layer.Linear
	proj2      layer.Linear
	projNorm   layer.LayerNorm
	latentProj layer.Linear // [D, Z], where latents are an input
	tokenHeads []*nn.Param  // K of [V, D], or none
}

// New declares the parameters of a valid configuration in ps, with those of its autoencoder; see Config.ValidateWith.
func New(c Config, ae autoencoder.Config, ps *nn.Params) *Model {
	d, std := c.HiddenSize, c.InitializerRange
	m := &Model{Config: c, Params: ps}
	if c.Input != Latents {
		table := nn.Gaussian(float32(std))
		table.ZeroRow = c.PadTokenID
		m.embed = ps.Table("transformer.embed_tokens.weight", table, c.VocabSize, d)
		m.proj0 = layer.NewLinear(ps, "embed_proj.0", c.PatchSize*d, 2*d, true, std)
		m.proj2 = layer.NewLinear(ps, "embed_proj.2", 2*d, d, true, std)
		m.projNorm = layer.NewLayerNorm(ps, "embed_proj.3", d)
	}
	if c.Input != Tokens {
		m.latentProj = layer.NewLinear(ps, "latent_proj", c.LatentSize, d, true, std)
	}
	m.Backbone = backbone.New(c.Config, ps, "transformer.")
	first := len(ps.All())
	m.HeadKind, _ = head.Lookup(c.ModelType)
	m.Head = head.New(c.HeadConfig, d, c.LatentSize, std, ps)
	for _, p := range ps.All()[first:] {
		p.Rate = c.HeadLearningRate
	}
	if c.TokenLossWeight > 0 {
		for k := range c.PatchSize {
			name := fmt.Sprintf("%s%d.weight", TokenHeadPrefix, k)
			m.tokenHeads = append(m.tokenHeads, ps.Matrix(name, nn.Gaussian(float32(std)), c.VocabSize, d))
		}
	}
	m.Autoencoder = autoencoder.New(ae, ps, AEPrefix)
	m.Autoencoder.Freeze()
	return m
}

// TokenHeadPrefix begins the names of the auxiliary heads' parameters, which only training needs.
const TokenHeadPrefix = "token_heads."

// Initialize draws the parameters that have no values yet. Token embeddings that start from the autoencoder's are
// copies of its table, except the padding token's, which is zero; so the autoencoder must have its values before.
func (m *Model) Initialize(seed uint64) {
	fresh := m.embed != nil && !m.embed.HasData()
	m.Params.Initialize(seed)
	if !fresh || m.Config.InitEmbeddings != FromAutoencoder {
		return
	}
	copy(m.embed.Data, m.Autoencoder.Table().Data)
	d := m.Config.HiddenSize
	clear(m.embed.Data[m.Config.PadTokenID*d:][:d])
}

// Patches adds the input of the backbone to g: ids [B, L, K] int32 give vectors [B, L, D], one a patch. It is made of
// the patch's token embeddings, or is a linear map of its latent vector, or is the sum of both, as Config.Input says.
// The latent vector is the posterior's mean, a function of the ids alone. So the backbone sees the same for text that
// was read and for text that was drawn. The encoder is frozen, and no gradient reaches it.
func (m *Model) Patches(g *nn.Graph, ids *nn.Tensor) *nn.Tensor {
	rows, patches, d := ids.Dim(0), ids.Dim(1), m.Config.HiddenSize
	var x *nn.Tensor
	if m.Config.Input != Latents {
		x = g.Embedding(g.Param(m.embed), ids, m.Config.PadTokenID) // [B, L, K, D]
		x = g.Reshape(x, rows, patches, m.Config.PatchSize*d)
		x = m.proj0.Apply(g, x, nn.LinearOptions{Act: nn.SiLUActivation})
		x = m.projNorm.Apply(g, m.proj2.Apply(g, x, nn.LinearOptions{}))
	}
	if m.Config.Input != Tokens {
		z := g.Reshape(m.Autoencoder.Mean(g, ids), rows, patches, m.Config.LatentSize)
		x = m.latentProj.Apply(g, z, nn.LinearOptions{Add: x})
	}
	return x
}

// LearnTokens sets whether the optimizer changes the auxiliary heads, by their learning-rate multiplier; see
// Config.TokenLossUntil.
func (m *Model) LearnTokens(on bool) {
	for _, p := range m.tokenHeads {
		p.Rate = 0
		if on {
			p.Rate = 1
		}
	}
}
