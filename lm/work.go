package lm

import (
	"strings"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
)

// Reading describes what the backbone runs to append that many patches to one row of a session, in a context that then
// has context patches.
func (m *Model) Reading(patches, context int) flops.Part {
	g := nn.NewGraph()
	x := m.Patches(g, g.Ints("ids", 1, patches, m.Config.PatchSize))
	m.Backbone.Continue(g, x, m.Backbone.Caches(g, 1, context), g.Ints("slot", 1), g.Ints("start", 1))
	return flops.Part{Name: "backbone", Graph: g, Runs: 1}
}

// Drawing describes what a sampler runs for that many draws of one row's next patch: the head, and the decoder with the
// choice of the likeliest tokens. A head that evaluates its network several times for a sample says so in Runs.
func (m *Model) Drawing(draws int) []flops.Part {
	decoder := nn.NewGraph()
	m.Autoencoder.Tokens(decoder, decoder.Floats("latents", draws, m.Config.LatentSize))
	return append(m.Head.Drawing(1, draws), flops.Part{Name: "decoder", Graph: decoder, Runs: 1})
}

// Use describes what a generated patch takes at temperature 1 in a context of that many patches: reading the patch
// before, and one draw.
func (m *Model) Use(context int) []flops.Part {
	return append([]flops.Part{m.Reading(1, context)}, m.Drawing(1)...)
}

// parts name the parameters that begin with a prefix, the first that fits; the head names its own.
var parts = []struct{ prefix, part string }{
	{"transformer.embed_tokens.", "embeddings"}, {"embed_proj.", "input"}, {"latent_proj.", "input"}, {"transformer.", "backbone"},
	{AEPrefix, "autoencoder"}, {TokenHeadPrefix, "token_heads"},
}

// Part names the part that a parameter belongs to: embeddings, input, backbone, head, autoencoder or token_heads.
func (m *Model) Part(parameter string) string {
	if strings.HasPrefix(parameter, m.HeadKind.Prefix) {
		return "head"
	}
	for _, p := range parts {
		if strings.HasPrefix(parameter, p.prefix) {
			return p.part
		}
	}
	return "other"
}

// AE returns the frozen autoencoder that makes the latent vectors.
func (m *Model) AE() *autoencoder.Model { return m.Autoencoder }
