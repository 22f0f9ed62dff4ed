package autoencoder_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

func engine(t *testing.T, threads int) *cpu.Engine {
	t.Helper()
	e := cpu.New(cpu.Options{Threads: threads})
	t.Cleanup(e.Close)
	return e
}

// varied returns an autoencoder of which no weight is constant.
func varied(patch int) *autoencoder.Model {
	c := testkit.TinyAutoencoder()
	c.PatchSize, c.InitializerRange = patch, .3
	m := autoencoder.New(c, nn.NewParams(), "")
	m.Params.Initialize(3)
	testkit.Perturb(m.Params, 5, .3)
	return m
}

// TestAEBatches compares the autoencoder's metrics without noise with those of one program over all blocks.
func TestAEBatches(t *testing.T) {
	e, m, b := engine(t, 2), varied(4), testkit.Letters(t, corpus.Autoencoder, 4, 16)
	z := m.Config.LatentSize
	ids := testkit.IDs(t, b)
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
		got, err := measure(t.Context(), e, m, b, eval.Options{Rows: rows, Sigmas: []float64{0, 1e9}})
		if err != nil {
			t.Fatal(err)
		}
		want := autoencoder.Measurement{
			CrossEntropy: got.CrossEntropy, Accuracy: got.Accuracy, // they depend on draws: TestAESample checks them
			Noise: []autoencoder.NoiseAccuracy{{Sigma: 0, Accuracy: float64(hits) / float64(len(ids))}, {Sigma: 1e9, Accuracy: got.Noise[1].Accuracy}},
			KL:    total, DimensionKL: kl, // none collapsed
			Blocks: int(b.Len()), BlockSize: b.Layout().BlockSize, Patches: len(ids) / 4, Tokens: len(ids),
		}
		if diff := cmp.Diff(want, got, testkit.Untimed); diff != "" {
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
	m := varied(4)
	z := m.Config.LatentSize
	w, bias := m.Params.Get("encoder.hidden_to_latent.weight"), m.Params.Get("encoder.hidden_to_latent.bias")
	d := m.Config.HiddenSize
	clear(w.Data[z*d:]) // log_std is the bias
	for i := range z {
		bias.Data[z+i] = -30
	}
	b := testkit.Letters(t, corpus.Autoencoder, 4, 16)
	got, err := measure(t.Context(), engine(t, 1), m, b, eval.Options{Sigmas: []float64{0}})
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
	if got, err = measure(t.Context(), engine(t, 1), m, b, eval.Options{}); err != nil || got.Collapsed != 2 || got.DimensionKL[1] != 0 {
		t.Errorf("%d collapsed, KL %v, %v; want 2", got.Collapsed, got.DimensionKL, err)
	}
}

// TestDrawsOfBatches: every batch has different draws. The test measures one, two and three blocks, one in a batch. All
// blocks but the first are equal. If their draws were equal too, the sums of their losses would grow evenly:
// s3 - s2 = s2 - s1.
func TestDrawsOfBatches(t *testing.T) {
	e, b := engine(t, 1), testkit.Repeated(t, "abcd", 300, corpus.Autoencoder, 4, 24)
	var sums [4]float64
	for n := 1; n <= 3; n++ {
		r, err := measure(t.Context(), e, varied(4), b, eval.Options{Rows: 1, MaxBlocks: n})
		if err != nil {
			t.Fatal(err)
		}
		sums[n] = float64(n) * r.CrossEntropy
	}
	if a, b := sums[2]-sums[1], sums[3]-sums[2]; math.Abs(a-b) < 1e-4*math.Abs(a) {
		t.Errorf("the second block has the loss %v, the third %v: the same draws", a, b)
	}
}

// TestNotMeasured: layouts and options that cannot be measured are errors.
func TestNotMeasured(t *testing.T) {
	e, b := engine(t, 1), testkit.Letters(t, corpus.Autoencoder, 4, 24)
	if _, err := autoencoder.NewEvaluator(e, varied(6), b, eval.Options{}); err == nil || !strings.Contains(err.Error(), "patches of 4") {
		t.Errorf("patches of 6: %v", err)
	}
	for want, o := range map[string]eval.Options{"deviation -1": {Sigmas: []float64{-1}}, "deviation NaN": {Sigmas: []float64{math.NaN()}}, "-1 blocks at a time": {Rows: -1}} {
		if _, err := autoencoder.NewEvaluator(e, varied(4), b, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// measure makes an evaluator and runs it once.
func measure(ctx context.Context, e *cpu.Engine, m *autoencoder.Model, b *corpus.Blocks, o eval.Options) (autoencoder.Measurement, error) {
	v, err := autoencoder.NewEvaluator(e, m, b, o)
	if err != nil {
		return autoencoder.Measurement{}, err
	}
	return v.Run(ctx)
}
