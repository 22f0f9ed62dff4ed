package ar

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/calm-go/calm/backbone"
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
	return &source{engine: e, model: m, logits: map[int]*logits{}}
}

// source generates texts from a baseline. Its slots are made when they are first needed, and kept.
type source struct {
	engine *cpu.Engine
	model  *Model
	slots  *backbone.Slots
	logits map[int]*logits // by the number of texts
	texts  [generate.MaxStreams]text
}

// text is how the tokens of a text are chosen.
type text struct {
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
func (s *source) Begin(slot int, o generate.Options) {
	if s.slots == nil { // the last token of a context is written and never read
		s.slots = s.model.Backbone.NewSlots(s.engine, s.model.Tokens, generate.MaxStreams, 1, s.model.Config.MaxPositionEmbeddings-1)
	}
	s.slots.Truncate(slot, 0)
	s.texts[slot] = text{o.Seed, o.Limit(), make([]float64, s.model.Config.VocabSize)}
}

// End implements [generate.Source].
func (s *source) End(slot int) { s.texts[slot] = text{} }

// saved is a text that has no slot.
type saved struct {
	text    text
	context *backbone.Saved
}

// Save implements [generate.Source].
func (s *source) Save(slot int) any { return saved{s.texts[slot], s.slots.Save(slot)} }

// Restore implements [generate.Source].
func (s *source) Restore(slot int, t any) {
	s.texts[slot] = t.(saved).text
	s.slots.Restore(slot, t.(saved).context)
}

// Piece implements [generate.Source].
func (s *source) Piece(n int) int { return s.slots.Chunk(n) }

// Read implements [generate.Source].
func (s *source) Read(slots []int, ids []int32) error { return s.slots.Step(slots, ids) }

// Write implements [generate.Source].
func (s *source) Write(patches []*generate.Patch) {
	rows, err := s.logitsOf(patches)
	for _, p := range patches {
		p.Done, p.Err, p.Draws = true, err, 1
	}
	if err == nil {
		s.choose(patches, rows)
	}
}

// choose chooses the tokens that patches are by their logits [R, V], at the same time.
func (s *source) choose(patches []*generate.Patch, rows []float32) {
	v := s.model.Config.VocabSize
	var others sync.WaitGroup
	for i, p := range patches[1:] {
		others.Go(func() { p.Err = s.texts[p.Slot].choose(p, rows[(i+1)*v:][:v]) })
	}
	patches[0].Err = s.texts[patches[0].Slot].choose(patches[0], rows[:v])
	others.Wait()
}

// choose chooses the token that a patch is by its logits [V].
func (t text) choose(p *generate.Patch, logits []float32) error {
	total := softmax(t.weights, logits, t.temperature)
	if math.IsNaN(total) || math.IsInf(total, 0) {
		return errors.New("the logits are not finite: the weights have diverged or are damaged")
	}
	p.IDs[0] = int32(choose(t.weights, generate.Decisions(t.seed, p.Step)()*total))
	return nil
}

// logitsOf returns the logits [R, V] of the tokens after the contexts of R texts.
func (s *source) logitsOf(patches []*generate.Patch) ([]float32, error) {
	rows := 1
	for rows < len(patches) {
		rows *= 2
	}
	if s.logits[rows] == nil {
		s.logits[rows] = s.model.newLogits(s.engine.ForStreams(rows), rows)
	}
	l, width := s.logits[rows], s.model.Config.HiddenSize
	for i, p := range patches {
		copy(l.program.Floats(l.hidden)[i*width:], s.slots.Hidden(p.Slot))
	}
	if err := l.program.Forward(); err != nil {
		return nil, err
	}
	return l.program.Floats(l.out), nil
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
