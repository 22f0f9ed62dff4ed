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
	"github.com/calm-go/calm/nn/cpu"
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
	m.embed = ps.Matrix("model.embed_tokens.weight", std, c.VocabSize, c.HiddenSize)
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

// Fill writes rows of tokens, ids [B, T], into a compiled program. ints returns an input's memory, as Ints of
// *cpu.Program does. Another number of ids is an error; the run checks their values. Fill does not allocate.
func (t *Training) Fill(ints func(*nn.Tensor) []int32, ids []int32) error {
	rows, tokens := t.IDs.Dim(0), t.IDs.Dim(1)
	if len(ids) != rows*tokens {
		return fmt.Errorf("a batch of %d ids: want %d rows of %d tokens", len(ids), rows, tokens)
	}
	copy(ints(t.IDs), ids)
	labels := ints(t.Labels)
	copy(labels, ids[1:])
	for end := tokens - 1; end < len(labels); end += tokens {
		labels[end] = Ignored
	}
	return nil
}

// Session holds B contexts and gives the logits of their next tokens.
type Session struct {
	*backbone.Session
	program        *cpu.Program
	hidden, logits *nn.Tensor // [B, D], [B, V]
}

// NewSession makes empty contexts for that many rows, with memory for capacity tokens each. Its Append takes ids
// [B, n].
func (m *Model) NewSession(e *cpu.Engine, rows, capacity int) *Session {
	g := nn.NewGraph()
	s := &Session{Session: m.Backbone.NewSession(e, m.Tokens, rows, 1, capacity)}
	s.hidden = g.Floats("hidden", rows, m.Config.HiddenSize)
	s.logits = g.Linear(s.hidden, g.Param(m.head), nil, nn.LinearOptions{})
	g.Output(s.logits)
	s.program = e.Compile(g, cpu.Inference)
	return s
}

// Logits returns the logits [B, V] of the token after each context, in memory that changes with the next call.
func (s *Session) Logits() ([]float32, error) {
	copy(s.program.Floats(s.hidden), s.Hidden())
	if err := s.program.Forward(); err != nil {
		return nil, err
	}
	return s.program.Floats(s.logits), nil
}
