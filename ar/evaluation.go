package ar

import (
	"fmt"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// Evaluation is the graph of a measurement on B rows of T tokens, of which the first T-1 are inputs and the last T-1
// targets: P = B*(T-1) positions.
type Evaluation struct {
	Graph  *nn.Graph        // the graph; the fields below are tensors of it
	IDs    *nn.Tensor       // input [B, T-1] int32
	Labels *nn.Tensor       // input [B, T-1] int32
	Tokens *nn.Categorical  // of the P positions, with that many draws of each; all are outputs
	Caches []backbone.Cache // by layer, keys and values of the B rows of T-1 positions; outputs
}

// Evaluation describes a measurement with that many draws a position.
func (m *Model) Evaluation(rows, tokens, draws int) *Evaluation {
	g := nn.NewGraph()
	e := &Evaluation{Graph: g, IDs: g.Ints("ids", rows, tokens-1), Labels: g.Ints("labels", rows, tokens-1)}
	var hidden *nn.Tensor
	hidden, e.Caches = m.Backbone.ForwardCaches(g, m.Tokens(g, e.IDs))
	e.Tokens = m.categorical(g, hidden, e.Labels, draws)
	backbone.Outputs(g, e.Caches)
	return e
}

func (m *Model) categorical(g *nn.Graph, hidden, labels *nn.Tensor, draws int) *nn.Categorical {
	c := g.Categorical(hidden, g.Param(m.head), labels, g.Random("uniform", nn.Uniform(0, 1), draws, hidden.Rows()))
	g.Output(c.LogP, c.Collision, c.Best, c.Draws)
	return c
}

// Fill writes rows of tokens, ids [B, T], into a program's memory. It does not allocate. Ids are checked by the run.
func (e *Evaluation) Fill(p *cpu.Program, ids []int32) error {
	rows, inputs := e.IDs.Dim(0), e.IDs.Dim(1)
	if len(ids) != rows*(inputs+1) {
		return fmt.Errorf("a batch of %d ids: want %d rows of %d tokens", len(ids), rows, inputs+1)
	}
	in, labels := p.Ints(e.IDs), p.Ints(e.Labels)
	for r := range rows {
		row := ids[r*(inputs+1):][:inputs+1]
		copy(in[r*inputs:(r+1)*inputs], row)
		copy(labels[r*inputs:(r+1)*inputs], row[1:])
	}
	return nil
}

// NewBranches makes branches of the contexts of an evaluation, whose keys and values its program p computes. Ids are
// [branches, n].
func (m *Model) NewBranches(e *cpu.Engine, ev *Evaluation, p *cpu.Program) *backbone.Branches {
	return m.Backbone.NewBranches(e, m.Tokens, 1, ev.IDs.Dim(0), ev.IDs.Dim(1), backbone.MemoryOf(p, ev.Caches))
}

// Sampler draws tokens given hidden states. Drawing does not allocate. It is not safe for concurrent use: one program
// of an engine runs at a time.
type Sampler struct {
	program        *cpu.Program
	hidden, labels *nn.Tensor // [R, D], [R]
	tokens         *nn.Categorical
}

// NewSampler makes a sampler of that many draws for each of that many rows at a time.
func (m *Model) NewSampler(e *cpu.Engine, rows, draws int) *Sampler {
	g := nn.NewGraph()
	s := &Sampler{hidden: g.Floats("hidden", rows, m.Config.HiddenSize), labels: g.Ints("labels", rows)}
	s.tokens = m.categorical(g, s.hidden, s.labels, draws)
	s.program = e.Compile(g, cpu.Inference)
	return s
}

// Drawn is the result of [Sampler.Draw]: the next token of each row. The memory changes with the next call.
type Drawn struct {
	Tokens    []int32   // [n, R]: the draws
	Collision []float32 // [R]: the probability that two draws are equal
	LogP      []float32 // [R]: log probability of the labels in nats; 0 without labels
}

// Draw gives n tokens for each row of hidden [R, D]; labels [R] may be nil. The draws follow from seed and step alone;
// another step gives independent ones.
func (s *Sampler) Draw(hidden []float32, labels []int32, seed, step uint64) (Drawn, error) {
	if len(hidden) != s.hidden.Size() || labels != nil && len(labels) != s.labels.Size() {
		return Drawn{}, fmt.Errorf("hidden states of %d numbers, %d labels: want %d and %d", len(hidden), len(labels), s.hidden.Size(), s.labels.Size())
	}
	copy(s.program.Floats(s.hidden), hidden)
	to := s.program.Ints(s.labels)
	for i := range to {
		to[i] = Ignored
	}
	copy(to, labels)
	s.program.SetDraws(seed, step)
	if err := s.program.Forward(); err != nil {
		return Drawn{}, err
	}
	return Drawn{s.program.Ints(s.tokens.Draws), s.program.Floats(s.tokens.Collision), s.program.Floats(s.tokens.LogP)}, nil
}
