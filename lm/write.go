package lm

import (
	"context"
	"errors"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/temperature"
	"github.com/calm-go/calm/nn/cpu"
)

// Shape implements [generate.Model].
func (m *Model) Shape() generate.Shape {
	v := m.Vocabulary()
	return generate.Shape{PatchSize: m.Config.PatchSize, VocabSize: v.Size, BOS: v.BOS, EOS: v.EOS, MaxPatches: m.Config.MaxPositionEmbeddings}
}

// NewSource implements [generate.Model].
func (m *Model) NewSource(e *cpu.Engine) generate.Source {
	return &source{engine: e, model: m, pool: m.NewPool(e)}
}

// source is a language model that writes. Its session is made when it is first needed, and kept.
type source struct {
	engine  *cpu.Engine
	model   *Model
	session *backbone.Session

	pool *Pool

	seed    uint64
	sampler *PatchSampler
}

// Check implements [generate.Source].
func (s *source) Check(o generate.Options) error {
	_, _, err := NewPatchSampler(o, s.model.Config.PatchSize)
	return err
}

// Begin implements [generate.Source].
func (s *source) Begin(o generate.Options) {
	s.seed = o.Seed
	sampler, sizes, err := NewPatchSampler(o, s.model.Config.PatchSize)
	if err != nil {
		panic(err) // Check had to report it
	}
	s.sampler = sampler
	s.pool.DrawAtOnce(sizes...)
	if s.session == nil { // the last patch of a context is written and never read
		s.session = s.model.NewSession(s.engine, 1, s.model.Config.MaxPositionEmbeddings-1)
	}
	s.session.Truncate(0)
}

// Read implements [generate.Source].
func (s *source) Read(ids []int32) error { return s.session.Append(ids) }

// Write implements [generate.Source]. The noise of a draw is a function of the seed, the patch's number and the draw's:
// how many are made at once does not matter.
func (s *source) Write(ctx context.Context, dst []int32, step int) (int, error) {
	s.pool.stopped = ctx.Err
	s.pool.Begin(s.session.Hidden(), generate.Noise(s.seed, step))
	looked, err := s.sampler.Sample(dst, s.pool, generate.Decisions(s.seed, step))
	if _, none := errors.AsType[*temperature.DivergedError](err); none {
		err = s.pool.Diverged() // it says what to do
	}
	return looked, err
}
