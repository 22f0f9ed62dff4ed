package bench

import (
	"math/rand/v2"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/internal/temperature"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// beyond is the number of patches that follow a prompt before writing starts at its end again.
const beyond = 64

// stream is one text in the making, as package generate makes it, but without an end: the model's part alone.
type stream struct {
	engine  *cpu.Engine
	model   *lm.Model
	session *backbone.Session
	prompt  []int32 // whole patches
	patch   []int32 // written last [K]
	step    uint64

	sampler  generate.Sampler
	write    func(dst []int32) error // draws the next patch
	samplers map[int]*lm.Sampler     // by draws
	costs    map[int]float64         // bytes of weights of a run, by draws
	sampled  float64                 // bytes of weights that samplers read

	trained        bool
	noise, silence []float32 // of weights that are not trained
}

// newStream prepares writing after a prompt of random ids. A temperature that the sampler cannot do is a
// *generate.InputError.
func newStream(eng *cpu.Engine, m *lm.Model, o GenerateOptions) (*stream, error) {
	k := m.Config.PatchSize
	positions := (o.Prompt + k - 1) / k
	if most := m.Config.MaxPositionEmbeddings - beyond; positions > most {
		return nil, usage("--prompt %d: the context of %s has room for a prompt of %s and %s after it",
			o.Prompt, plural.Count(m.Config.MaxPositionEmbeddings, "patch"), plural.Count(max(most, 0)*k, "token"), plural.Count(beyond, "patch"))
	}
	s := &stream{engine: eng, model: m, prompt: make([]int32, positions*k), patch: make([]int32, k),
		samplers: map[int]*lm.Sampler{}, costs: map[int]float64{}, trained: o.Run != ""}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range s.prompt {
		s.prompt[i] = r.Int32N(int32(m.Config.VocabSize))
	}
	if err := s.choose(o, r); err != nil {
		return nil, err
	}
	s.session = m.NewSession(eng, 1, positions+beyond)
	return s, nil
}

// choose sets how patches are drawn.
func (s *stream) choose(o GenerateOptions, r *rand.Rand) error {
	k := s.model.Config.PatchSize
	s.sampler = o.Sampler
	if s.sampler == "" {
		s.sampler = generate.Exact
		if o.Run == "" {
			s.sampler = generate.Batch
		}
	}
	switch {
	case o.Temperature == 1:
		s.write = func(dst []int32) error {
			ids, err := s.draws(1, 0)
			copy(dst, ids)
			return err
		}
	case s.sampler == generate.Batch:
		batch, err := temperature.NewBatch(o.Temperature, k, temperature.DefaultPool)
		if err != nil {
			return &generate.InputError{Err: err}
		}
		s.write = func(dst []int32) error {
			draw := func(first, _ int) ([]int32, error) { return s.draws(temperature.DefaultPool, first) }
			_, err := batch.Sample(dst, &temperature.Patches{K: k, Make: draw}, r.Float64)
			return err
		}
	default:
		exact, err := temperature.NewExact(o.Temperature, k, temperature.DefaultBudget)
		if err != nil {
			return &generate.InputError{Err: err}
		}
		s.write = func(dst []int32) error {
			draw := func(first, want int) ([]int32, error) { return s.draws(atOnce(want), first) }
			_, err := exact.Sample(dst, &temperature.Patches{K: k, Make: draw}, r.Float64)
			return err
		}
	}
	return nil
}

// atOnce is how many draws package generate makes where the exact sampler wants that many.
func atOnce(want int) int {
	for _, n := range []int{4, 16, 64} {
		if want <= n {
			return n
		}
	}
	return 256
}

// draws makes n draws of the next patch, the first of which is number first.
func (s *stream) draws(n, first int) ([]int32, error) {
	sampler := s.samplers[n]
	if sampler == nil {
		sampler = s.model.NewSampler(s.engine, 1, n)
		s.samplers[n], s.costs[n] = sampler, drawingBytes(s.model, n)
	}
	s.sampled += s.costs[n]
	hidden, stream := s.session.Hidden(), random.Stream{Seed: s.step, Step: uint64(first)}
	if s.trained {
		return sampler.DrawStream(hidden, stream, 0)
	}
	// A diffusion that has learned nothing carries noise out of all bounds, and from nothing it makes nothing: the same
	// work, noise drawn included.
	size := n * sampler.NoiseSize()
	if len(s.noise) < size {
		s.noise, s.silence = make([]float32, size), make([]float32, size)
	}
	sampler.FillNoise(s.noise[:size], stream, 0)
	return sampler.DrawFrom(hidden, s.silence[:size])
}

// prefill reads the prompt.
func (s *stream) prefill() error {
	s.session.Truncate(0)
	return s.session.Append(s.prompt)
}

// decode draws a patch and reads it.
func (s *stream) decode() error {
	if s.session.Len() == s.session.Capacity() {
		s.session.Truncate(len(s.prompt) / len(s.patch))
		// Hidden states are those of the patch read last, which will do.
	}
	if err := s.write(s.patch); err != nil {
		return err
	}
	s.step++
	return s.session.Append(s.patch)
}
