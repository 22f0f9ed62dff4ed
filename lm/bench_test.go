package lm_test

import (
	"testing"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// BenchmarkTrainingStep is a step of lm-bytes on 4 x 128 bytes without the optimizer: overhead counts as much as
// arithmetic.
func BenchmarkTrainingStep(b *testing.B) {
	m, e := small(b)
	tr := m.Training(4, 128)
	p := e.Compile(tr.Graph, cpu.Training)
	ids := randomIDs(4*128, m.Config.VocabSize)
	b.ReportAllocs()
	for b.Loop() {
		if err := tr.Fill(p, ids, nil); err != nil {
			b.Fatal(err)
		}
		if err := p.Step(false); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(flops.Training(tr.Graph).Total()/1e9, "GFLOP")
}

// BenchmarkGenerate is a patch of one row of lm-bytes: a step of the backbone, a draw, the decoder.
func BenchmarkGenerate(b *testing.B) {
	m, e := small(b)
	const context = 256
	s, sampler := m.NewSession(e, 1, context), m.NewSampler(e, 1, 1)
	patch := randomIDs(m.Config.PatchSize, m.Config.VocabSize)
	b.ReportAllocs()
	for step := uint64(0); b.Loop(); step++ {
		if s.Len() == context {
			s.Truncate(context / 2)
		}
		if err := s.Append(patch); err != nil {
			b.Fatal(err)
		}
		ids, err := sampler.Draw(s.Hidden(), 1, step)
		if err != nil {
			b.Fatal(err)
		}
		copy(patch, ids)
	}
}

func small(b *testing.B) (*lm.Model, *cpu.Engine) {
	m := lm.New(lm.Presets()["lm-bytes"], autoencoder.Presets()["ae-bytes"], nn.NewParams())
	m.Initialize(1)
	e := cpu.New(cpu.Options{})
	b.Cleanup(e.Close)
	return m, e
}
