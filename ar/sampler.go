package ar

import (
	"fmt"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// Session holds B contexts and gives the logits of their next tokens.
type Session struct {
	*backbone.Session
	logits *logits
}

// NewSession makes empty contexts for that many rows, with memory for capacity tokens each. Its Append takes ids
// [B, n].
func (m *Model) NewSession(e *cpu.Engine, rows, capacity int) *Session {
	return &Session{m.Backbone.NewSession(e, m.Tokens, rows, 1, capacity), m.newLogits(e, rows)}
}

// Logits returns the logits [B, V] of the token after each context, in memory that changes with the next call.
func (s *Session) Logits() ([]float32, error) {
	copy(s.logits.program.Floats(s.logits.hidden), s.Hidden())
	if err := s.logits.program.Forward(); err != nil {
		return nil, err
	}
	return s.logits.program.Floats(s.logits.out), nil
}

// logits is the program of the last layer.
type logits struct {
	program     *cpu.Program
	hidden, out *nn.Tensor // [R, D], [R, V]
}

func (m *Model) newLogits(e *cpu.Engine, rows int) *logits {
	g := nn.NewGraph()
	l := &logits{hidden: g.Floats("hidden", rows, m.Config.HiddenSize)}
	l.out = g.Linear(l.hidden, g.Param(m.head), nil, nn.LinearOptions{})
	g.Output(l.out)
	l.program = e.Compile(g, cpu.Inference)
	return l
}

// NewBranches makes branches of the contexts of an evaluation, whose keys and values are in v after a run. Ids are
// [branches, n].
func (m *Model) NewBranches(e *cpu.Engine, ev *Evaluation, v nn.Values) *backbone.Branches {
	return m.Backbone.NewBranches(e, m.Tokens, 1, ev.IDs.Dim(0), ev.IDs.Dim(1), backbone.MemoryOf(v, ev.Caches))
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
