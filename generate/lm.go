package generate

import (
	"context"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/generate/temperature"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/cpu/kernel"
	"github.com/calm-go/calm/tokenizer"
)

// New makes a generator of a language model's text. What options cannot be met is an *InputError.
func New(e *cpu.Engine, m *lm.Model, tok *tokenizer.Tokenizer, o Options) (*Generator, error) {
	c := m.Config
	g, err := newGenerator(tok, o, c.PatchSize, c.VocabSize, c.BOSTokenID, c.EOSTokenID, c.MaxPositionEmbeddings)
	if err != nil {
		return nil, err
	}
	s := &patches{engine: e, model: m, seed: o.Seed}
	if err := s.choose(o); err != nil {
		return nil, err
	}
	// The last patch of a context is written and never read.
	s.session = m.NewSession(e, 1, g.patches-1)
	g.source = s
	return g, nil
}

// patches is a language model as a source.
type patches struct {
	engine  *cpu.Engine
	model   *lm.Model
	session *backbone.Session
	seed    uint64

	sample   func(dst []int32, draw temperature.Draw, uniform func() float64) (draws int, err error)
	sizes    []int // numbers of draws that samplers are compiled for, smallest first
	samplers []*lm.Sampler
}

// choose sets the way to sample, and how many draws to make at once: the decoder reads the whole vocabulary's table for
// one draw as for a few, so for a large model a few cost little more.
func (s *patches) choose(o Options) error {
	k := s.model.Config.PatchSize
	if o.Sampler == Batch && o.Temperature != 1 {
		pool := o.Draws
		if pool == 0 {
			pool = temperature.DefaultPool
		}
		batch, err := temperature.NewBatch(o.Temperature, k, pool)
		if err != nil {
			return &InputError{err}
		}
		s.sample = func(dst []int32, draw temperature.Draw, uniform func() float64) (int, error) {
			return pool, batch.Sample(dst, draw, uniform)
		}
		s.setSizes(min(pool, mostDraws))
		return nil
	}
	budget := o.Draws
	if budget == 0 {
		budget = temperature.DefaultBudget
	}
	exact, err := temperature.NewExact(o.Temperature, k, budget)
	if err != nil {
		return &InputError{err}
	}
	s.sample = exact.Sample
	if o.Temperature == 1 {
		s.setSizes(1)
	} else {
		s.setSizes(4, 16, 64, mostDraws)
	}
	return nil
}

// mostDraws bounds the draws made at once, and with them the memory they take.
const mostDraws = 256

func (s *patches) setSizes(sizes ...int) {
	s.sizes, s.samplers = sizes, make([]*lm.Sampler, len(sizes))
}

func (s *patches) reset() { s.session.Truncate(0) }

func (s *patches) read(ids []int32) error { return s.session.Append(ids) }

// Streams of random numbers of a generation, apart from those of training under the same seed. Their step is the patch.
var (
	noiseStream    = nn.DrawID("generate.noise")
	decisionStream = nn.DrawID("generate.decisions")
)

// write samples a patch. The noise of a draw is a function of the seed, the patch's number and the draw's: how many are
// made at once does not matter.
func (s *patches) write(ctx context.Context, dst []int32, step int) (int, error) {
	return s.sample(dst, func(first, want int) ([]int32, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		stream := kernel.Stream{Seed: s.seed, Draw: noiseStream, Step: uint64(step)}
		return s.sampler(want).DrawStream(s.session.Hidden(), stream, first)
	}, decisions(s.seed, step))
}

// decisions returns the uniform numbers of a patch that are not a network's noise.
func decisions(seed uint64, step int) func() float64 {
	stream, i := kernel.Stream{Seed: seed, Draw: decisionStream, Step: uint64(step)}, uint64(0)
	return func() float64 {
		i++
		return stream.Float64(i - 1)
	}
}

// sampler returns the smallest sampler of that many draws, or the largest there is, compiled when first asked for.
func (s *patches) sampler(want int) *lm.Sampler {
	i := 0
	for i+1 < len(s.sizes) && s.sizes[i] < want {
		i++
	}
	if s.samplers[i] == nil {
		s.samplers[i] = s.model.NewSampler(s.engine, 1, s.sizes[i])
	}
	return s.samplers[i]
}
