package testkit

import (
	"testing"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// CompareTimeIndices checks that the sinusoidal embedding of a model's graph maps times to the same vectors as the integer time
// indices of a case without a scale, bit for bit.
func CompareTimeIndices(t testing.TB, e *cpu.Engine, model *nn.Graph, name string, times []float32, want []int32) {
	t.Helper()
	if len(times) != len(want) {
		t.Errorf("%s has %d values for %d times", name, len(want), len(times))
		return
	}
	var embedding *nn.SinusoidalEmbedding
	for _, op := range model.Ops() {
		if s, ok := op.(*nn.SinusoidalEmbedding); ok {
			embedding = s
		}
	}
	if embedding == nil {
		t.Fatal("the model has no sinusoidal embedding")
	}
	g := nn.NewGraph()
	scaled, whole := g.Floats("times", len(times)), g.Floats("indices", len(want))
	got, is := g.SinusoidalEmbedding(scaled, embedding.Scale, embedding.Y.Cols()), g.SinusoidalEmbedding(whole, 1, embedding.Y.Cols())
	g.Output(got, is)
	p := e.Compile(g, cpu.Inference)
	copy(p.Floats(scaled), times)
	for i, v := range want {
		p.Floats(whole)[i] = float32(v)
	}
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	Compare(t, name+"'s embedding", p.Floats(got), p.Floats(is), 0)
}
