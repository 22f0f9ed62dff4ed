package bench

import (
	"context"

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
	token   []int32 // written last [1]
	read    int     // tokens in the context
	step    int
}

// newBaselineStream prepares writing after a prompt of random ids. Options that the baseline does not have are a
// *generate.InputError.
func newBaselineStream(eng *cpu.Engine, m *ar.Model, o GenerateOptions) (*baselineStream, error) {
	prompt, _, err := randomPrompt(o, 1, m.Config.VocabSize, m.Config.MaxPositionEmbeddings)
	if err != nil {
		return nil, err
	}
	s := &baselineStream{model: m, source: m.NewSource(eng), options: o.options(), prompt: prompt, token: make([]int32, 1)}
	return s, s.source.Check(s.options)
}

// prefill reads the prompt.
func (s *baselineStream) prefill() error {
	s.source.Begin(s.options)
	s.read = len(s.prompt)
	return s.source.Read(s.prompt)
}

// decode draws a token and reads it. Where the context is full it reads the prompt again, once in many tokens, which a
// median does not show.
func (s *baselineStream) decode() error {
	if s.read == len(s.prompt)+beyond-1 {
		if err := s.prefill(); err != nil {
			return err
		}
	}
	if _, err := s.source.Write(context.Background(), s.token, s.step); err != nil {
		return err
	}
	s.step++
	s.read++
	return s.source.Read(s.token)
}

// report adds what a token took to r.
func (s *baselineStream) report(r *Result) {
	for _, part := range s.model.Use(1) {
		r.BytesPerStep += part.Weights().Bytes
	}
}
