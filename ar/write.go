package ar

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/temperature"
	"github.com/calm-go/calm/nn/cpu"
)

// Shape implements [generate.Model]: patches are tokens.
func (m *Model) Shape() generate.Shape {
	v := m.Vocabulary()
	return generate.Shape{PatchSize: 1, VocabSize: v.Size, BOS: v.BOS, EOS: v.EOS, MaxPatches: m.Config.MaxPositionEmbeddings}
}

// NewSource implements [generate.Model]. The baseline divides its logits by the temperature. So it samples exactly, with
// one draw a token. It refuses a sampler and a number of draws.
func (m *Model) NewSource(e *cpu.Engine) generate.Source {
	return &source{engine: e, model: m, weights: make([]float64, m.Config.VocabSize)}
}

// source generates text from a baseline. It makes its session when first needed, and keeps it.
type source struct {
	engine  *cpu.Engine
	model   *Model
	session *Session

	seed        uint64
	temperature float64
	weights     []float64 // [V]
}

// Check implements [generate.Source].
func (s *source) Check(o generate.Options) error {
	switch T := o.Limit(); {
	case o.Sampler != "":
		return &generate.InputError{Err: fmt.Errorf("generate: the %s sampler is for models that can only draw; the token-level baseline divides its logits: leave the sampler out", o.Sampler)}
	case o.Draws > 0:
		return &generate.InputError{Err: fmt.Errorf("generate: %d draws: the token-level baseline takes one draw a token at any temperature: leave the draws out", o.Draws)}
	case !(T >= 0 && T <= 1):
		return &generate.InputError{Err: &temperature.RangeError{T: T, Reason: "must be in [0, 1]"}}
	}
	return nil
}

// Begin implements [generate.Source].
func (s *source) Begin(o generate.Options) {
	s.seed, s.temperature = o.Seed, o.Limit()
	if s.session == nil { // the last token of a context is written and never read
		s.session = s.model.NewSession(s.engine, 1, s.model.Config.MaxPositionEmbeddings-1)
	}
	s.session.Truncate(0)
}

// Read implements [generate.Source].
func (s *source) Read(ids []int32) error { return s.session.Append(ids) }

// Write implements [generate.Source].
func (s *source) Write(_ context.Context, dst []int32, step int) (int, error) {
	logits, err := s.session.Logits()
	if err != nil {
		return 0, err
	}
	total := softmax(s.weights, logits, s.temperature)
	if math.IsNaN(total) || math.IsInf(total, 0) {
		return 0, errors.New("the logits are not finite: the weights have diverged or are damaged")
	}
	dst[0] = int32(choose(s.weights, generate.Decisions(s.seed, step)()*total))
	return 1, nil
}

// softmax sets weights to exp((logits - max)/T) and returns their sum. At T = 0 they are 1 where the logit is the max, and
// else 0.
func softmax(weights []float64, logits []float32, T float64) (total float64) {
	peak := math.Inf(-1)
	for _, z := range logits {
		peak = max(peak, float64(z))
	}
	for i, z := range logits {
		if x := float64(z) - peak; x == 0 {
			weights[i] = 1
		} else {
			weights[i] = math.Exp(x / T)
		}
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
	return last // rounding left the running sum below u
}
