package head_test

import (
	"slices"
	"testing"

	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/nn/cpu"
)

// TestNoiseScale: a draw with noise_scale s from noise x is the draw of the usual head from s*x, bit for bit. With 0 the noise
// does not matter.
func TestNoiseScale(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	h, ps := newFlow(t)
	for i, p := range ps.All() { // of the first weights the network would be 0
		for j, v := range normal(uint64(10+i), p.Size()) {
			p.Data[j] += v / 8
		}
	}
	state, noise := normal(1, places*hidden), normal(2, samples*places*latent)
	draw := func(scale float64, noise []float32) []float32 {
		t.Helper()
		scaled := *h
		scaled.Options.NoiseScale = scale
		if err := scaled.Options.Validate(); err != nil {
			t.Fatal(err)
		}
		got, err := scaled.NewSampler(e, places, samples).Sample(state, noise)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(got)
	}
	for _, scale := range []float32{0, .25, .7, 1, 2} {
		fed := make([]float32, len(noise))
		for i, v := range noise {
			fed[i] = scale * v
		}
		if got, want := draw(float64(scale), noise), draw(1, fed); !slices.Equal(got, want) {
			t.Errorf("noise_scale %v gives %v, want %v", scale, got[:4], want[:4])
		}
	}
	other := normal(3, len(noise))
	if a, b := draw(0, noise), draw(0, other); !slices.Equal(a, b) || slices.Equal(a, make([]float32, len(a))) {
		t.Errorf("noise_scale 0 gives %v and %v, want equal draws other than 0", a[:4], b[:4])
	}
	if a, b := draw(1, noise), draw(1, other); slices.Equal(a, b) {
		t.Error("the noise does not matter to draws as trained")
	}
	for _, scale := range []float64{-1, 11} {
		if (head.FlowOptions{NumMLPLayers: 1, Solver: "euler", NoiseScale: scale}).Validate() == nil {
			t.Errorf("noise_scale %v is accepted", scale)
		}
	}
}
