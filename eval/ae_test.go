package eval_test

import (
	"math"
	"slices"
	"testing"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/google/go-cmp/cmp"
)

// TestAEBatches compares the autoencoder's metrics without noise with those of one program over all blocks.
func TestAEBatches(t *testing.T) {
	e, m, b := engine(t, 2), tinyAE(4), blocks(t, corpus.Autoencoder, 4, 16)
	z := m.Config.LatentSize
	ids := read(t, b)
	g := nn.NewGraph()
	in := g.Ints("ids", len(ids)/4, 4)
	post := m.Encode(g, in)
	tokens := m.Tokens(g, post.Mean)
	g.Output(post.Mean, post.LogStd, tokens)
	p := e.Compile(g, cpu.Inference)
	copy(p.Ints(in), ids)
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	hits := 0
	for i, id := range p.Ints(tokens) {
		if id == ids[i] {
			hits++
		}
	}
	kl, total := make([]float64, z), 0.0
	mean, logStd := p.Floats(post.Mean), p.Floats(post.LogStd)
	for d := range kl {
		for i := d; i < len(mean); i += z {
			s := math.Exp(float64(logStd[i]))
			kl[d] += (float64(mean[i])*float64(mean[i]) + s*s - 1 - 2*math.Log(s)) / 2 / float64(len(mean)/z)
		}
		total += kl[d]
	}
	for _, rows := range []int{0, 1, 5, 7, int(b.Len())} {
		got, err := measureAE(t.Context(), e, m, b, eval.Options{Rows: rows, Sigmas: []float64{0, 1e9}})
		if err != nil {
			t.Fatal(err)
		}
		want := autoencoder.Measurement{
			CrossEntropy: got.CrossEntropy, Accuracy: got.Accuracy, // they depend on draws: TestAESample checks them
			Noise: []autoencoder.NoiseAccuracy{{Sigma: 0, Accuracy: float64(hits) / float64(len(ids))}, {Sigma: 1e9, Accuracy: got.Noise[1].Accuracy}},
			KL:    total, DimensionKL: kl, // none collapsed
			Blocks: int(b.Len()), BlockSize: b.Layout().BlockSize, Patches: len(ids) / 4, Tokens: len(ids),
		}
		if diff := cmp.Diff(want, got, untimed); diff != "" {
			t.Errorf("%d rows at a time (-want +got):\n%s", rows, diff)
		}
		if got.Noise[1].Accuracy > .2 {
			t.Errorf("accuracy %v under very strong noise", got.Noise[1].Accuracy)
		}
	}
}

// TestAESample: a posterior of zero width has samples equal to its mean, and a dimension whose posterior is the standard
// normal is collapsed.
func TestAESample(t *testing.T) {
	m := tinyAE(4)
	z := m.Config.LatentSize
	w, bias := m.Params.Get("encoder.hidden_to_latent.weight"), m.Params.Get("encoder.hidden_to_latent.bias")
	d := m.Config.HiddenSize
	clear(w.Data[z*d:]) // log_std is the bias
	for i := range z {
		bias.Data[z+i] = -30
	}
	b := blocks(t, corpus.Autoencoder, 4, 16)
	got, err := measureAE(t.Context(), engine(t, 1), m, b, eval.Options{Sigmas: []float64{0}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Accuracy != got.Noise[0].Accuracy || got.Accuracy == 0 || !(got.CrossEntropy > 0) {
		t.Errorf("accuracy %v of a sample of zero width, %v of the mean, cross entropy %v", got.Accuracy, got.Noise[0].Accuracy, got.CrossEntropy)
	}
	if want := 30 - .5; got.Collapsed != 0 || slices.Min(got.DimensionKL) < want {
		t.Errorf("%d dimensions collapsed, least KL %v, want none and at least %v", got.Collapsed, slices.Min(got.DimensionKL), want)
	}
	for _, i := range []int{1, 4} { // a standard normal for every patch
		clear(w.Data[i*d : (i+1)*d])
		bias.Data[i], bias.Data[z+i] = 0, 0
	}
	if got, err = measureAE(t.Context(), engine(t, 1), m, b, eval.Options{}); err != nil || got.Collapsed != 2 || got.DimensionKL[1] != 0 {
		t.Errorf("%d collapsed, KL %v, %v; want 2", got.Collapsed, got.DimensionKL, err)
	}
}
