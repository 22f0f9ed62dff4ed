// Package ar is the token-level baseline that calm is measured against: the backbone on tokens with a linear head
// (docs/spec.md, section 3.4).
//
// Shapes: B rows, T tokens, P = B*(T-1) measured positions, V vocabulary, D hidden size; in drawing, R rows and n draws
// a row.
package ar

import (
	"fmt"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/nn"
)

// Model holds a baseline's parameters. Their names are the reference's.
type Model struct {
	Config   Config          // a valid configuration
	Backbone *backbone.Model // the transformer over tokens
	Params   *nn.Params      // all parameters

	embed *nn.Param // [V, D]
	head  *nn.Param // [V, D], its own: not tied to embed
}

// New declares the parameters of a valid configuration in ps.
func New(c Config, ps *nn.Params) *Model {
	m := &Model{Config: c, Params: ps}
	std := nn.Gaussian(float32(c.InitializerRange))
	m.embed = ps.Table("model.embed_tokens.weight", std, c.VocabSize, c.HiddenSize)
	m.Backbone = backbone.New(c.Config, ps, "model.")
	m.head = ps.Matrix("lm_head.weight", std, c.VocabSize, c.HiddenSize)
	return m
}

// Tokens adds the input of the backbone to g: ids [B, T] or [B, T, 1] int32 give x [B, T, D].
func (m *Model) Tokens(g *nn.Graph, ids *nn.Tensor) *nn.Tensor {
	ids = g.Reshape(ids, ids.Dim(0), ids.Dim(1))
	return g.Embedding(g.Param(m.embed), ids, -1)
}

// Training is the graph of a training step or a measurement on B rows of T tokens, each of which predicts the next.
type Training struct {
	Graph  *nn.Graph        // the graph; the fields below are tensors of it
	IDs    *nn.Tensor       // input [B, T] int32
	Labels *nn.Tensor       // input [B, T] int32: the next token; Ignored at the end of a row
	Hidden *nn.Tensor       // [B, T, D], not marked as output
	Tokens *nn.CrossEntropy // outputs: cross entropy, hits, exact Brier-1
}

// Ignored is the label of a position that is not scored.
const Ignored = -100

// Training describes a training step on that many rows of that many tokens; compiled for inference, it measures.
func (m *Model) Training(rows, tokens int) *Training {
	g := nn.NewGraph()
	t := &Training{Graph: g, IDs: g.Ints("ids", rows, tokens), Labels: g.Ints("labels", rows, tokens)}
	t.Hidden = m.Backbone.Forward(g, m.Tokens(g, t.IDs))
	t.Tokens = g.CrossEntropy(t.Hidden, g.Param(m.head), t.Labels)
	g.Loss(t.Tokens.Loss, 1)
	g.Output(t.Tokens.Hits, t.Tokens.Brier)
	return t
}

// Fill writes rows of tokens, ids [B, T], into the graph's inputs. Another number of ids is an error; the run checks their
// values. Fill does not allocate.
func (t *Training) Fill(v nn.Values, ids []int32) error {
	rows, tokens := t.IDs.Dim(0), t.IDs.Dim(1)
	if len(ids) != rows*tokens {
		return fmt.Errorf("a batch of %d ids: want %d rows of %d tokens", len(ids), rows, tokens)
	}
	copy(v.Ints(t.IDs), ids)
	labels := v.Ints(t.Labels)
	copy(labels, ids[1:])
	for end := tokens - 1; end < len(labels); end += tokens {
		labels[end] = Ignored
	}
	return nil
}
