package bench

import (
	"math/rand/v2"
	"time"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// beyond is the number of patches that follow a prompt before writing starts at its end again.
const beyond = 64

// stream is one text in the making, as package generate makes it, but without an end: the model's part alone.
type stream struct {
	model   *lm.Model
	session *backbone.Session
	prompt  []int32 // whole patches
	patch   []int32 // written last [K]
	step    int

	sampler  *lm.PatchSampler
	pool     *lm.Pool
	draws    lm.Draws       // the pool, or typical draws of random weights
	typical  *typical       // nil for a run's weights
	decision func() float64 // the next uniform number in [0, 1)
	backbone time.Duration  // of reading patches
}

// newStream prepares writing after a prompt of random ids. A temperature that the sampler cannot do is a
// *generate.InputError.
func newStream(eng *cpu.Engine, m *lm.Model, o GenerateOptions) (*stream, error) {
	k := m.Config.PatchSize
	prompt, r, err := randomPrompt(o, k, m.Config.VocabSize, m.Config.MaxPositionEmbeddings)
	if err != nil {
		return nil, err
	}
	s := &stream{model: m, prompt: prompt, patch: make([]int32, k), pool: m.NewPool(eng), decision: r.Float64}
	sampler, atOnce, err := lm.NewPatchSampler(o.options(), k)
	if err != nil {
		return nil, err
	}
	s.sampler, s.draws = sampler, s.pool
	s.pool.DrawAtOnce(atOnce...)
	if o.Run == "" {
		s.pool.Silent = true // same work, noise drawn included
		if o.Temperature < 1 {
			s.typical = &typical{Draws: s.pool}
			s.draws = s.typical
		}
	}
	s.session = m.NewSession(eng, 1, len(prompt)/k+beyond)
	return s, nil
}

// randomPrompt makes a prompt of whole patches, and returns the source of its random numbers. context is how many patches
// prompt and text can have.
func randomPrompt(o GenerateOptions, patch, vocabulary, context int) ([]int32, *rand.Rand, error) {
	positions := (o.Prompt + patch - 1) / patch
	if room := context - beyond; positions > room {
		return nil, nil, usage("--prompt %d: the context of %s has room for a prompt of %s and %s after it",
			o.Prompt, plural.Count(context, "patch"), plural.Count(max(room, 0)*patch, "token"), plural.Count(beyond, "patch"))
	}
	prompt, r := make([]int32, positions*patch), rand.New(rand.NewPCG(1, 2))
	for i := range prompt {
		prompt[i] = r.Int32N(int32(vocabulary))
	}
	return prompt, r, nil
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
	s.pool.Begin(s.session.Hidden(), random.Stream{Seed: uint64(s.step)})
	if s.typical != nil {
		s.typical.step = uint64(s.step)
	}
	if _, err := s.sampler.Sample(s.patch, s.draws, s.decision); err != nil {
		return err
	}
	s.step++
	start := time.Now()
	err := s.session.Append(s.patch)
	s.backbone += time.Since(start)
	return err
}

// report adds what a patch took to r, as means over those written so far.
func (s *stream) report(r *Result) {
	w, steps := s.pool.Work(), float64(s.step)
	r.BytesPerStep = s.model.Reading(1, 1).Weights().Bytes + w.Bytes/steps
	r.Draws = float64(w.Draws) / steps
	r.TokensPerDraw = float64(w.Tokens) / float64(w.Draws)
	r.BackboneMS = milliseconds(s.backbone) / steps
	r.HeadMS = milliseconds(w.Head) / steps
	r.DecoderPatchMS = milliseconds(w.PerPatch) / steps
	r.DecoderTokenMS = milliseconds(w.PerToken) / steps
}
