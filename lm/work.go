package lm

import (
	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
)

// Reading describes what the backbone runs to append that many patches to one row of a session, in a context that then
// has so many patches.
func (m *Model) Reading(patches, context int) flops.Part {
	g := nn.NewGraph()
	x := m.Patches(g, g.Ints("ids", 1, patches, m.Config.PatchSize))
	m.Backbone.Continue(g, x, m.Backbone.Caches(g, 1, context), g.Ints("start", 1))
	return flops.Part{Name: "backbone", Graph: g, Runs: 1}
}

// Drawing describes what a sampler runs to draw one row's next patch that many times: the head, and the decoder with
// the choice of the likeliest tokens. A head that evaluates its network several times for a sample says so in Runs.
func (m *Model) Drawing(draws int) []flops.Part {
	decoder := nn.NewGraph()
	m.Autoencoder.Tokens(decoder, decoder.Floats("latents", draws, m.Config.LatentSize))
	return append(m.Head.Drawing(1, draws), flops.Part{Name: "decoder", Graph: decoder, Runs: 1})
}

// Generation describes what a patch written at temperature 1 takes in a context of that many patches: reading the one
// before, and a draw.
func (m *Model) Generation(context int) []flops.Part {
	return append([]flops.Part{m.Reading(1, context)}, m.Drawing(1)...)
}
