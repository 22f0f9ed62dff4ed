package lm_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
)

// certain makes all draws of a model equal: its noise has no effect and its posteriors have zero width.
func certain(m *lm.Model) *lm.Model {
	clear(m.Params.Get("mlp_generator.norm_noise.weight").Data)
	z, d := m.Config.LatentSize, m.Autoencoder.Config.HiddenSize
	clear(m.Params.Get("ae_model.encoder.hidden_to_latent.weight").Data[z*d:])
	bias := m.Params.Get("ae_model.encoder.hidden_to_latent.bias").Data[z:]
	for i := range bias {
		bias[i] = -30
	}
	return m
}

// TestLMRows: without randomness in the model, no metric depends on the size of the batches. Every position counts once,
// and the unused rows of an incomplete last batch do not count.
func TestLMRows(t *testing.T) {
	e, m, b := engine(t, 2), certain(varied(4)), testkit.Letters(t, corpus.Language, 4, 24)
	n := int(b.Len())
	want, err := measure(t.Context(), e, m, b, eval.Options{Rows: n})
	if err != nil {
		t.Fatal(err)
	}
	if n < 20 || n%4 == 0 || n%8 == 0 {
		t.Fatalf("%d blocks: too few for this test", n)
	}
	for _, rows := range []int{1, 4, 8, n - 1} {
		got, err := measure(t.Context(), e, m, b, eval.Options{Rows: rows})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, testkit.Untimed); diff != "" {
			t.Errorf("%d rows at a time (-all at a time +got):\n%s", rows, diff)
		}
	}
}

// same returns blocks that are all equal except the first.
func same(t *testing.T) *corpus.Blocks {
	t.Helper()
	return testkit.Repeated(t, "abcd", 300, corpus.Language, 4, 24)
}

// TestDrawsOfBatches: every batch has different draws. The test measures one, two and three blocks, one in a batch. All
// blocks but the first are equal. If their draws were equal too, the sums of their losses would grow evenly:
// s3 - s2 = s2 - s1.
func TestDrawsOfBatches(t *testing.T) {
	e, b := engine(t, 1), same(t)
	var sums [4]float64
	for n := 1; n <= 3; n++ {
		r, err := measure(t.Context(), e, varied(4), b, eval.Options{Rows: 1, MaxBlocks: n})
		if err != nil {
			t.Fatal(err)
		}
		sums[n] = float64(n) * r.Head.Value("energy_loss")
	}
	if a, b := sums[2]-sums[1], sums[3]-sums[2]; math.Abs(a-b) < 1e-4*math.Abs(a) {
		t.Errorf("the second block has the loss %v, the third %v: the same draws", a, b)
	}
}

// TestDrawsOfPasses: samples that do not fit into one run are drawn in several, each with different draws.
func TestDrawsOfPasses(t *testing.T) {
	e, m, b := engine(t, 1), varied(4), same(t)
	const fit = 1 << 15 / 24
	var losses []float64
	for _, samples := range []int{fit, 2 * fit} {
		r, err := measure(t.Context(), e, m, b, eval.Options{MaxBlocks: 1, Samples: samples})
		if err != nil || r.Samples != samples {
			t.Fatalf("%+v, %v", r, err)
		}
		losses = append(losses, r.Head.Value("energy_loss"))
	}
	if losses[0] == losses[1] || math.Abs(losses[0]/losses[1]-1) > .1 {
		t.Errorf("energy losses %v of one pass and two: want similar values, not equal ones", losses)
	}
}
