package eval_test

import (
	"math"
	"slices"
	"testing"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestLM compares the evaluator's scores with those of samples drawn here from the same program.
func TestLM(t *testing.T) {
	const size, samples = 24, 3
	e, m, b := engine(t, 2), tinyLM(4), blocks(t, corpus.Language, 4, size)
	n := int(b.Len())
	ids := read(t, b)
	ev := m.Evaluation(n, size, samples)
	p := e.Compile(ev.Graph, cpu.Inference)
	if err := ev.Fill(p, ids, nil); err != nil {
		t.Fatal(err)
	}
	got, err := measureLM(t.Context(), e, m, b, eval.Options{Seed: 9, Samples: samples, Rows: n})
	if err != nil {
		t.Fatal(err)
	}
	p.SetDraws(9^0x6576616c75617465, 0)
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	drawn := testkit.ByPosition(p.Ints(ev.Tokens), samples, 4)
	est, err := brier.NewEstimator(samples, 4)
	if err != nil {
		t.Fatal(err)
	}
	var acc brier.Accumulator
	per := size/4 - 1
	for i := range n { // targets cut from the text, not from the program
		est.Add(&acc, i, drawn[i*per*samples*4:][:per*samples*4], ids[i*size+4:(i+1)*size])
	}
	want := lm.Measurement{
		Result: acc.Result(9), Head: lm.HeadMetrics{{Name: "energy_loss", Value: float64(p.Scalar(ev.Head.Loss))}},
		Samples: samples, BlockSize: size, Tokens: n * per * 4, Drawn: n * per * samples,
	}
	if want.Brier[0] == 0 || want.Positions != n*per {
		t.Fatalf("Brier-1 %v at %d positions: not suited to this test", want.Brier[0], want.Positions)
	}
	if diff := cmp.Diff(want, got, untimed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLMBatches: other batches draw other samples, so energy loss and Brier-1 are compared within the spread of their
// estimates.
func TestLMBatches(t *testing.T) {
	e, m, b := engine(t, 2), tinyLM(5), blocks(t, corpus.Language, 5, 25)
	n := int(b.Len())
	base, err := measureLM(t.Context(), e, m, b, eval.Options{Samples: 80})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []eval.Options{{Rows: 1, Samples: 20}, {Rows: 7, Samples: 50}, {Rows: n - 1, Samples: 50, Seed: 4}} {
		got, err := measureLM(t.Context(), e, m, b, o)
		if err != nil {
			t.Fatal(err)
		}
		if got.Positions != n*4 || got.Blocks != n || got.Tokens != n*20 || got.Samples != o.Samples {
			t.Errorf("%+v: %+v; want %d blocks of 4 positions", o, got, n)
		}
		if d := math.Abs(got.Head.Value("energy_loss")/base.Head.Value("energy_loss") - 1); d > .05 || d == 0 {
			t.Errorf("%+v: energy loss %v, with all rows at a time %v", o, got.Head, base.Head)
		}
		if d := math.Abs(got.Brier[0] - base.Brier[0]); d > 2 || d == 0 {
			t.Errorf("%+v: Brier-1 %v, with all rows at a time %v", o, got.Brier[0], base.Brier[0])
		}
	}
}

// TestLMTokenHeads: the metrics of the auxiliary token heads are means over all positions, for every size of batches. A model
// without them has none.
func TestLMTokenHeads(t *testing.T) {
	const size = 24
	e, b := engine(t, 2), blocks(t, corpus.Language, 4, size)
	n := int(b.Len())
	c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
	c.TokenLossWeight, c.InitializerRange, ae.InitializerRange = 2, .3, .3
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(3)
	tr := m.Training(n, size)
	p := e.Compile(tr.Graph, cpu.Inference)
	if err := tr.Fill(p, read(t, b), nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	loss := 0.
	var briers []float64
	for _, ce := range tr.Tokens {
		loss += float64(p.Scalar(ce.Loss)) / 4
		briers = append(briers, 100*float64(p.Scalar(ce.Brier)))
	}
	if len(briers) != 4 || briers[0] == briers[1] {
		t.Fatalf("Brier scores %v", briers)
	}
	for _, rows := range []int{0, 1, 7, n} {
		got, err := measureLM(t.Context(), e, m, b, eval.Options{Rows: rows})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(append([]float64{loss}, briers...), append([]float64{got.TokenLoss}, got.TokenBrier...), untimed); diff != "" {
			t.Errorf("%d rows at a time (-want +got):\n%s", rows, diff)
		}
	}
	got, err := measureLM(t.Context(), e, tinyLM(4), b, eval.Options{})
	if err != nil || got.TokenLoss != 0 || got.TokenBrier != nil {
		t.Errorf("without heads: %v, %v, %v", got.TokenLoss, got.TokenBrier, err)
	}
}

// TestLMConstant: if the decoder ignores its input, all samples are the same patch, and Brier-n is 2q-1, where q is the part
// of the n-grams that it gets right.
func TestLMConstant(t *testing.T) {
	m := tinyLM(4)
	clear(m.Params.Get("ae_model.decoder.expand_layer.weight").Data)
	table, d := m.Params.Get("ae_model.encoder.embed_tokens.weight").Data, m.Autoencoder.Config.HiddenSize
	clear(table[:'a'*d]) // it writes letters
	clear(table['e'*d:])
	e, b := engine(t, 2), blocks(t, corpus.Language, 4, 24)
	constant, err := m.NewSampler(e, 1, 1).Draw(make([]float32, m.Config.HiddenSize), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	constant = slices.Clone(constant)
	ids := read(t, b)
	var want [4]float64
	positions := 0
	for at := 0; at < len(ids); at += 4 {
		if at%24 == 0 {
			continue
		}
		positions++
		for j := 0; j < 4 && ids[at+j] == constant[j]; j++ {
			want[j]++
		}
	}
	if want[0] == 0 {
		t.Fatalf("%v begins no patch of the text: not suited to this test", constant)
	}
	for j := range want {
		want[j] = 100 * (2*want[j]/float64(positions) - 1)
	}
	got, err := measureLM(t.Context(), e, m, b, eval.Options{Samples: 5})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Brier, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Measurable || !math.IsNaN(float64(got.BrierLM)) {
		t.Errorf("BrierLM %v of a model that repeats itself", got.BrierLM)
	}
}
