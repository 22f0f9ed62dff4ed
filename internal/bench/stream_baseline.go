package bench

import (
	"sync/atomic"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/nn/cpu"
)

// baselineStream is stream for the token-level baseline.
type baselineStream struct {
	model   *ar.Model
	source  generate.Source
	options generate.Options
	prompt  []int32
	token   generate.Patch
	read    int // tokens in the context
}

// newBaselineStream prepares writing after a prompt of random ids. Options that the baseline does not have are a
// *generate.InputError.
func newBaselineStream(eng *cpu.Engine, m *ar.Model, o GenerateOptions) (*baselineStream, error) {
	prompt, _, err := randomPrompt(o, 1, m.Config.VocabSize, m.Config.MaxPositionEmbeddings)
	if err != nil {
		return nil, err
	}
	s := &baselineStream{model: m, source: m.NewSource(eng), options: o.options(), prompt: prompt,
		token: generate.Patch{IDs: make([]int32, 1), Stopped: &atomic.Bool{}}}
	return s, s.source.Check(s.options)
}

// prefill reads the prompt.
func (s *baselineStream) prefill() error {
	s.source.Begin(0, s.options)
	s.read = len(s.prompt)
	for rest := s.prompt; len(rest) > 0; {
		n := s.source.Piece(len(rest))
		if err := s.source.Read([]int{0}, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// decode draws a token and reads it. Where the context is full it reads the prompt again, once in many
// tokens, which a median does not show.
func (s *baselineStream) decode() error {
	if s.read == len(s.prompt)+beyond-1 {
		if err := s.prefill(); err != nil {
			return err
		}
	}
	s.source.Write([]*generate.Patch{&s.token})
	if s.token.Err != nil {
		return s.token.Err
	}
	s.token.Step++
	s.read++
	return s.source.Read([]int{0}, s.token.IDs)
}

// report adds what a token took to r.
func (s *baselineStream) report(r *Result) {
	for _, part := range s.model.Use(1) {
		r.BytesPerStep += part.Weights().Bytes
	}
}
