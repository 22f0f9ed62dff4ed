package ar

import (
	"strings"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
)

// Reading describes what the backbone runs to append that many tokens to one row of a session, in a context that then has
// so many tokens.
func (m *Model) Reading(tokens, context int) flops.Part {
	g := nn.NewGraph()
	x := m.Tokens(g, g.Ints("ids", 1, tokens))
	m.Backbone.Continue(g, x, m.Backbone.Caches(g, 1, context), g.Ints("slot", 1), g.Ints("start", 1))
	return flops.Part{Name: "backbone", Graph: g, Runs: 1}
}

// Use describes what a generated token takes in a context of that many tokens: reading the token before, and the logits
// of the next.
func (m *Model) Use(context int) []flops.Part {
	logits := nn.NewGraph()
	logits.Linear(logits.Floats("hidden", 1, m.Config.HiddenSize), logits.Param(m.head), nil, nn.LinearOptions{})
	return []flops.Part{m.Reading(1, context), {Name: "head", Graph: logits, Runs: 1}}
}

// Part names the part that a parameter belongs to: embeddings, backbone or head.
func (m *Model) Part(parameter string) string {
	switch {
	case strings.HasPrefix(parameter, "model.embed_tokens."):
		return "embeddings"
	case strings.HasPrefix(parameter, "model."):
		return "backbone"
	}
	return "head"
}
