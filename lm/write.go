package lm

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/head"
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
	return &source{engine: e, model: m, samplers: map[int]*Sampler{}}
}

// source is a language model that writes. Its session and samplers are made when they are first needed, and kept.
type source struct {
	engine  *cpu.Engine
	model   *Model
	session *backbone.Session

	seed     uint64
	sample   sampleFunc
	sizes    []int // numbers of draws that are made at once, smallest first
	samplers map[int]*Sampler
}

// sampleFunc is a sampler of package temperature.
type sampleFunc func(dst []int32, draws temperature.Draws, uniform func() float64) (looked int, err error)

// Check implements [generate.Source].
func (s *source) Check(o generate.Options) error {
	_, _, err := s.choose(o)
	return err
}

// Begin implements [generate.Source].
func (s *source) Begin(o generate.Options, length int) {
	s.seed = o.Seed
	var err error
	if s.sample, s.sizes, err = s.choose(o); err != nil {
		panic(err) // Check had to report it
	}
	// The last patch of a context is written and never read.
	if capacity := length - 1; s.session == nil || s.session.Capacity() < capacity {
		s.session = s.model.NewSession(s.engine, 1, max(capacity, s.model.Config.MaxPositionEmbeddings-1))
	}
	s.session.Truncate(0)
	maps.DeleteFunc(s.samplers, func(n int, _ *Sampler) bool {
		return !slices.Contains(s.sizes, n) && !slices.Contains(usualSizes, n)
	})
}

// usualSizes are the numbers of draws at once whose samplers are kept for later texts. Other numbers follow from
// generate.Options.Draws, of which there may be many.
var usualSizes = []int{1, 4, 16, 64, maxDrawsAtOnce}

// choose returns the way to sample, and how many draws to make at once: the decoder reads the whole vocabulary's table
// for one draw as for a few, so for a large model a few cost little more.
func (s *source) choose(o generate.Options) (sampleFunc, []int, error) {
	k, T := s.model.Config.PatchSize, o.Limit()
	var sample sampleFunc
	var sizes []int
	var err error
	switch {
	case T == 1: // the first draw that did not diverge
		var one *temperature.Exact
		one, err = temperature.NewExact(T, k, temperature.DefaultBudget)
		sample, sizes = one.Sample, []int{1}
	case o.Sampler == generate.Prefix:
		pool := cmp.Or(o.Draws, temperature.DefaultPrefixPool)
		var prefix *temperature.Prefix
		prefix, err = temperature.NewPrefix(T, k, pool)
		sample, sizes = prefix.Sample, []int{min(pool, maxDrawsAtOnce)}
	case o.Sampler == generate.Batch:
		pool := cmp.Or(o.Draws, temperature.DefaultPool)
		var batch *temperature.Batch
		batch, err = temperature.NewBatch(T, k, pool)
		sample, sizes = batch.Sample, []int{min(pool, maxDrawsAtOnce)}
	default:
		var exact *temperature.Exact
		exact, err = temperature.NewExact(T, k, cmp.Or(o.Draws, temperature.DefaultBudget))
		sample, sizes = exact.Sample, usualSizes[1:]
	}
	if err != nil {
		return nil, nil, &generate.InputError{Err: err}
	}
	return sample, sizes, nil
}

// maxDrawsAtOnce bounds the draws made at once, and with them the memory they take.
const maxDrawsAtOnce = 256

// Read implements [generate.Source].
func (s *source) Read(ids []int32) error { return s.session.Append(ids) }

// Write implements [generate.Source]. The noise of a draw is a function of the seed, the patch's number and the draw's:
// how many are made at once does not matter.
func (s *source) Write(ctx context.Context, dst []int32, step int) (int, error) {
	var diverged *head.DivergedError
	draws := &temperature.Patches{K: len(dst), Make: func(first, want int) ([]int32, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		ids, err := s.sampler(want).DrawStream(s.session.Hidden(), generate.Noise(s.seed, step), first)
		if errors.As(err, &diverged) {
			err = nil // the sampler leaves these draws out
		}
		return ids, err
	}}
	looked, err := s.sample(dst, draws, generate.Decisions(s.seed, step))
	if _, none := errors.AsType[*temperature.DivergedError](err); none {
		err = diverged
	}
	return looked, err
}

// sampler returns the smallest sampler of that many draws, or the largest there is.
func (s *source) sampler(want int) *Sampler {
	i := 0
	for i+1 < len(s.sizes) && s.sizes[i] < want {
		i++
	}
	n := s.sizes[i]
	if s.samplers[n] == nil {
		s.samplers[n] = s.model.NewSampler(s.engine, 1, n)
	}
	return s.samplers[n]
}
