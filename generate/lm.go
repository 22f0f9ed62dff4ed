package generate

import (
	"context"
	"maps"
	"slices"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/generate/temperature"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
	"github.com/calm-go/calm/tokenizer"
)

// NewLM makes a generator of a language model's text; see New.
func NewLM(e *cpu.Engine, m *lm.Model, tok *tokenizer.Tokenizer) (*Generator, error) {
	c := m.Config
	return New(&patches{engine: e, model: m, samplers: map[int]*lm.Sampler{}},
		Shape{c.PatchSize, c.VocabSize, int32(c.BOSTokenID), int32(c.EOSTokenID), c.MaxPositionEmbeddings}, tok)
}

// patches is a language model as a source. Sessions and samplers are made when they are first needed, and kept.
type patches struct {
	engine  *cpu.Engine
	model   *lm.Model
	session *backbone.Session

	seed     uint64
	sample   sampleFunc
	sizes    []int // numbers of draws that are made at once, smallest first
	samplers map[int]*lm.Sampler
}

// sampleFunc is a sampler of package temperature.
type sampleFunc func(dst []int32, draw temperature.Draw, uniform func() float64) (draws int, err error)

// Check implements [Source].
func (s *patches) Check(o Options) error {
	_, _, err := s.choose(o)
	return err
}

// Begin implements [Source].
func (s *patches) Begin(o Options, length int) {
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
	maps.DeleteFunc(s.samplers, func(n int, _ *lm.Sampler) bool {
		return !slices.Contains(s.sizes, n) && !slices.Contains(usualSizes, n)
	})
}

// usualSizes are the numbers of draws at once whose samplers are kept for later texts. Other numbers follow from
// Options.Draws, of which there may be many.
var usualSizes = []int{1, 4, 16, 64, maxDrawsAtOnce}

// choose returns the way to sample, and how many draws to make at once: the decoder reads the whole vocabulary's table
// for one draw as for a few, so for a large model a few cost little more.
func (s *patches) choose(o Options) (sampleFunc, []int, error) {
	k := s.model.Config.PatchSize
	if o.Sampler == Batch && o.Temperature != 1 {
		pool := o.Draws
		if pool == 0 {
			pool = temperature.DefaultPool
		}
		batch, err := temperature.NewBatch(o.Temperature, k, pool)
		if err != nil {
			return nil, nil, &InputError{err}
		}
		return func(dst []int32, draw temperature.Draw, uniform func() float64) (int, error) {
			return pool, batch.Sample(dst, draw, uniform)
		}, []int{min(pool, maxDrawsAtOnce)}, nil
	}
	budget := o.Draws
	if budget == 0 {
		budget = temperature.DefaultBudget
	}
	exact, err := temperature.NewExact(o.Temperature, k, budget)
	switch {
	case err != nil:
		return nil, nil, &InputError{err}
	case o.Temperature == 1:
		return exact.Sample, []int{1}, nil
	}
	return exact.Sample, usualSizes[1:], nil
}

// maxDrawsAtOnce bounds the draws made at once, and with them the memory they take.
const maxDrawsAtOnce = 256

// Read implements [Source].
func (s *patches) Read(ids []int32) error { return s.session.Append(ids) }

// Streams of random numbers of a generation, apart from those of training under the same seed. Their step is the patch.
var (
	noiseStream    = random.ID("generate.noise")
	decisionStream = random.ID("generate.decisions")
)

// Write implements [Source]. The noise of a draw is a function of the seed, the patch's number and the draw's: how many
// are made at once does not matter.
func (s *patches) Write(ctx context.Context, dst []int32, step int) (int, error) {
	return s.sample(dst, func(first, want int) ([]int32, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		stream := random.Stream{Seed: s.seed, Draw: noiseStream, Step: uint64(step)}
		return s.sampler(want).DrawStream(s.session.Hidden(), stream, first)
	}, decisions(s.seed, step))
}

// decisions returns the uniform numbers of a patch that are not a network's noise.
func decisions(seed uint64, step int) func() float64 {
	stream, i := random.Stream{Seed: seed, Draw: decisionStream, Step: uint64(step)}, uint64(0)
	return func() float64 {
		i++
		return stream.Float64(i - 1)
	}
}

// sampler returns the smallest sampler of that many draws, or the largest there is.
func (s *patches) sampler(want int) *lm.Sampler {
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
