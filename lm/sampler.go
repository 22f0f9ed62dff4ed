package lm

import (
	"fmt"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// NewSession makes empty contexts of patches for that many rows, with memory for capacity patches each. Its Append
// takes ids [B, n, K]; its Hidden predicts the next patches, see Sampler.
func (m *Model) NewSession(e *cpu.Engine, rows, capacity int) *backbone.Session {
	return m.Backbone.NewSession(e, m.Patches, rows, m.Config.PatchSize, capacity)
}

// NewBranches makes branches of the contexts that an evaluation's program has left; its graph's Caches must be outputs.
// Ids are [branches, n, K].
func (m *Model) NewBranches(e *cpu.Engine, ev *Evaluation, p *cpu.Program) *backbone.Branches {
	return m.Backbone.NewBranches(e, m.Patches, m.Config.PatchSize, ev.Inputs.Dim(0), ev.Inputs.Dim(1), backbone.MemoryOf(p, ev.Caches))
}

// Sampler draws patches given hidden states: head, frozen decoder, likeliest tokens. It does not allocate. It is not
// safe for concurrent use, nor beside another program of its engine.
type Sampler struct {
	rows, draws int
	program     *cpu.Program
	hidden      *nn.Tensor // [R, D]
	noise       *nn.Tensor // [n, R, S]
	tokens      *nn.Tensor // [n, R, K]
}

// NewSampler makes a sampler of that many draws for each of that many rows at a time.
func (m *Model) NewSampler(e *cpu.Engine, rows, draws int) *Sampler {
	g := nn.NewGraph()
	s := &Sampler{rows: rows, draws: draws}
	s.hidden = g.Floats("hidden", rows, m.Config.HiddenSize)
	s.noise = m.Head.Noise(g, "head.noise", draws, rows)
	ids := m.Autoencoder.Tokens(g, m.Head.Sample(g, s.hidden, s.noise))
	s.tokens = g.Reshape(ids, draws, rows, m.Config.PatchSize)
	g.Output(s.tokens)
	s.program = e.Compile(g, cpu.Inference)
	return s
}

// Draws returns the number of draws n a row.
func (s *Sampler) Draws() int { return s.draws }

// Draw gives n patches for each row of hidden [R, D]: tokens [n, R, K], in memory that changes with the next call. The
// noise follows from seed and step alone; another step gives independent draws.
func (s *Sampler) Draw(hidden []float32, seed, step uint64) ([]int32, error) {
	s.program.SetDraws(seed, step)
	return s.draw(hidden, nil)
}

// DrawFrom is Draw with the noise given: [n, R, S].
func (s *Sampler) DrawFrom(hidden, noise []float32) ([]int32, error) {
	if len(noise) != s.noise.Size() {
		return nil, fmt.Errorf("noise of %d numbers: want %d, of shape %v", len(noise), s.noise.Size(), s.noise.Shape())
	}
	return s.draw(hidden, noise)
}

func (s *Sampler) draw(hidden, noise []float32) ([]int32, error) {
	if len(hidden) != s.hidden.Size() {
		return nil, fmt.Errorf("hidden states of %d numbers: want %d, of shape %v", len(hidden), s.hidden.Size(), s.hidden.Shape())
	}
	copy(s.program.Floats(s.hidden), hidden)
	s.program.Feed(s.noise, noise)
	if err := s.program.Forward(); err != nil {
		return nil, err
	}
	return s.program.Ints(s.tokens), nil
}
