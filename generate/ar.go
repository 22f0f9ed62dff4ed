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

// NewAR makes a generator of the token-level baseline's text. Its patches are tokens, and it has logits to divide by
// the temperature; so it is always exact, takes one draw a token, and refuses the batch sampler and a number of draws. What options cannot be
// met is an *InputError.
func NewAR(e *cpu.Engine, m *ar.Model, tok *tokenizer.Tokenizer, o Options) (*Generator, error) {
	c := m.Config
	g, err := newGenerator(tok, o, 1, c.VocabSize, c.BOSTokenID, c.EOSTokenID, c.MaxPositionEmbeddings)
	if err != nil {
		return nil, err
	}
	switch T := o.Temperature; {
	case o.Sampler == Batch:
		return nil, inputError("generate: the batch sampler is for models that can only draw; the token-level baseline divides its logits: leave the sampler out")
	case o.Draws > 0:
		return nil, inputError("generate: %d draws: the token-level baseline takes one draw a token at any temperature: leave the draws out", o.Draws)
	case !(T > 0 && T <= 1):
		return nil, &InputError{&temperature.RangeError{T: T, Reason: "must be in (0, 1]"}}
	}
	g.source = &tokens{
		session: m.NewSession(e, 1, g.patches-1), seed: o.Seed, temperature: o.Temperature,
		weights: make([]float64, c.VocabSize),
	}
	return g, nil
}

// tokens is the baseline as a source.
type tokens struct {
	session     *ar.Session
	seed        uint64
	temperature float64
	weights     []float64 // [V]
}

func (s *tokens) reset() { s.session.Truncate(0) }

func (s *tokens) read(ids []int32) error { return s.session.Append(ids) }

func (s *tokens) write(_ context.Context, dst []int32, step int) (int, error) {
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
