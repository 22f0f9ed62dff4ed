package generate

import (
	"context"
	"fmt"
	"math"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/generate/temperature"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/tokenizer"
)

// NewAR makes a generator of the token-level baseline's text; see New. Its patches are tokens, and it has logits to
// divide by the temperature: it is always exact, takes one draw a token, and refuses the batch sampler and a number of
// draws.
func NewAR(e *cpu.Engine, m *ar.Model, tok *tokenizer.Tokenizer) (*Generator, error) {
	c := m.Config
	return New(&tokens{engine: e, model: m, weights: make([]float64, c.VocabSize)},
		Shape{1, c.VocabSize, int32(c.BOSTokenID), int32(c.EOSTokenID), c.MaxPositionEmbeddings}, tok)
}

// tokens is the baseline as a source. Its session is made when it is first needed, and kept.
type tokens struct {
	engine  *cpu.Engine
	model   *ar.Model
	session *ar.Session

	seed        uint64
	temperature float64
	weights     []float64 // [V]
}

// Check implements [Source].
func (s *tokens) Check(o Options) error {
	switch T := o.Temperature; {
	case o.Sampler == Batch:
		return inputError("generate: the batch sampler is for models that can only draw; the token-level baseline divides its logits: leave the sampler out")
	case o.Draws > 0:
		return inputError("generate: %d draws: the token-level baseline takes one draw a token at any temperature: leave the draws out", o.Draws)
	case !(T > 0 && T <= 1):
		return &InputError{&temperature.RangeError{T: T, Reason: "must be in (0, 1]"}}
	}
	return nil
}

// Begin implements [Source].
func (s *tokens) Begin(o Options, length int) {
	s.seed, s.temperature = o.Seed, o.Temperature
	// The last token of a context is written and never read.
	if capacity := length - 1; s.session == nil || s.session.Capacity() < capacity {
		s.session = s.model.NewSession(s.engine, 1, max(capacity, s.model.Config.MaxPositionEmbeddings-1))
	}
	s.session.Truncate(0)
}

// Read implements [Source].
func (s *tokens) Read(ids []int32) error { return s.session.Append(ids) }

// Write implements [Source].
func (s *tokens) Write(_ context.Context, dst []int32, step int) (int, error) {
	logits, err := s.session.Logits()
	if err != nil {
		return 0, err
	}
	total := softmax(s.weights, logits, s.temperature)
	if math.IsNaN(total) || math.IsInf(total, 0) {
		return 0, fmt.Errorf("the logits are not finite: the weights have diverged or are damaged")
	}
	dst[0] = int32(choose(s.weights, decisions(s.seed, step)()*total))
	return 1, nil
}

// softmax sets weights to exp((logits - max)/T) and returns their sum.
func softmax(weights []float64, logits []float32, T float64) (total float64) {
	peak := math.Inf(-1)
	for _, z := range logits {
		peak = max(peak, float64(z))
	}
	for i, z := range logits {
		weights[i] = math.Exp((float64(z) - peak) / T)
		total += weights[i]
	}
	return total
}

// choose returns the first index at which the running sum of the weights exceeds u, in [0, total).
func choose(weights []float64, u float64) int {
	last := 0
	for i, w := range weights {
		if w == 0 {
			continue
		}
		if u < w {
			return i
		}
		u -= w
		last = i
	}
	return last // u was a rounding short of the total
}
