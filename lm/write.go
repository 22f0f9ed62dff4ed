package lm

import (
	"cmp"
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
	sampler sampler
}

// sampler is one of package temperature's.
type sampler interface {
	Sample(dst []int32, draws temperature.Draws, uniform func() float64) (looked int, err error)
}

// Check implements [generate.Source].
func (s *source) Check(o generate.Options) error {
	_, _, err := s.choose(o)
	return err
}

// Begin implements [generate.Source].
func (s *source) Begin(o generate.Options, length int) {
	s.seed = o.Seed
	sampler, sizes, err := s.choose(o)
	if err != nil {
		panic(err) // Check had to report it
	}
	s.sampler = sampler
	s.pool.DrawAtOnce(sizes...)
	// The last patch of a context is written and never read.
	if capacity := length - 1; s.session == nil || s.session.Capacity() < capacity {
		s.session = s.model.NewSession(s.engine, 1, max(capacity, s.model.Config.MaxPositionEmbeddings-1))
	}
	s.session.Truncate(0)
}

// choose returns the way to sample, and how many draws to make at once: the weights are read once for a few draws as for
// one, so for a large model a few cost little more.
func (s *source) choose(o generate.Options) (sampler, []int, error) {
	k, T := s.model.Config.PatchSize, o.Limit()
	var sampler sampler
	var sizes []int
	var err error
	switch {
	case T == 1: // the first draw that did not diverge
		sizes = []int{1}
		sampler, err = temperature.NewExact(T, k, temperature.DefaultBudget)
	case o.Sampler == generate.Prefix:
		pool := cmp.Or(o.Draws, temperature.DefaultPrefixPool)
		sizes = []int{share(pool)}
		sampler, err = temperature.NewPrefix(T, k, pool)
	case o.Sampler == generate.Batch:
		pool := cmp.Or(o.Draws, temperature.DefaultPool)
		sizes = []int{share(pool)}
		sampler, err = temperature.NewBatch(T, k, pool)
	default:
		sizes = usualSizes[1:]
		sampler, err = temperature.NewExact(T, k, cmp.Or(o.Draws, temperature.DefaultBudget))
	}
	if err != nil {
		return nil, nil, &generate.InputError{Err: err}
	}
	return sampler, sizes, nil
}

// share returns how many draws of a pool to make at once: all, or equal parts of them.
func share(pool int) int {
	parts := max(1, (pool+maxDrawsAtOnce-1)/maxDrawsAtOnce)
	return (pool + parts - 1) / parts
}

// Read implements [generate.Source].
func (s *source) Read(ids []int32) error { return s.session.Append(ids) }

// Write implements [generate.Source]. The noise of a draw is a function of the seed, the patch's number and the draw's:
// how many are made at once does not matter.
func (s *source) Write(ctx context.Context, dst []int32, step int) (int, error) {
	s.pool.Begin(s.session.Hidden(), generate.Noise(s.seed, step))
	looked, err := s.sampler.Sample(dst, interruptible{ctx, s.pool}, generate.Decisions(s.seed, step))
	if _, none := errors.AsType[*temperature.DivergedError](err); none {
		err = s.pool.Diverged() // it says what to do
	}
	return looked, err
}

// interruptible are draws that end with a context.
type interruptible struct {
	ctx   context.Context
	draws temperature.Draws
}

// Tokens implements [temperature.Draws].
func (d interruptible) Tokens(dst []int32, draws []int, k int) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	return d.draws.Tokens(dst, draws, k)
}
