package lm_test

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// varied returns a language model with the energy head whose samples differ. (The last layer of a newly made head is zero, so its
// samples are equal.)
func varied(patch int) *lm.Model {
	c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
	c.PatchSize, ae.PatchSize = patch, patch
	c.InitializerRange, ae.InitializerRange = .3, .3
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(3)
	testkit.Perturb(m.Params, 5, .3)
	return m
}

// TestLM compares the evaluator's scores with those of samples drawn here from the same program.
func TestLM(t *testing.T) {
	const size, samples = 24, 3
	e, m, b := engine(t, 2), varied(4), testkit.Letters(t, corpus.Language, 4, size)
	n := int(b.Len())
	ids := testkit.IDs(t, b)
	ev := m.Evaluation(n, size, samples)
	p := e.Compile(ev.Graph, cpu.Inference)
	if err := ev.Fill(p, ids, nil); err != nil {
		t.Fatal(err)
	}
	got, err := measure(t.Context(), e, m, b, eval.Options{Seed: 9, Samples: samples, Rows: n})
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
	if diff := cmp.Diff(want, got, testkit.Untimed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLMBatches: other batches draw other samples, so energy loss and Brier-1 are compared within the spread of their
// estimates.
func TestLMBatches(t *testing.T) {
	e, m, b := engine(t, 2), varied(5), testkit.Letters(t, corpus.Language, 5, 25)
	n := int(b.Len())
	base, err := measure(t.Context(), e, m, b, eval.Options{Samples: 80})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []eval.Options{{Rows: 1, Samples: 20}, {Rows: 7, Samples: 50}, {Rows: n - 1, Samples: 50, Seed: 4}} {
		got, err := measure(t.Context(), e, m, b, o)
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
	e, b := engine(t, 2), testkit.Letters(t, corpus.Language, 4, size)
	n := int(b.Len())
	c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
	c.TokenLossWeight, c.InitializerRange, ae.InitializerRange = 2, .3, .3
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(3)
	tr := m.Training(n, size)
	p := e.Compile(tr.Graph, cpu.Inference)
	if err := tr.Fill(p, testkit.IDs(t, b), nil); err != nil {
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
		got, err := measure(t.Context(), e, m, b, eval.Options{Rows: rows})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(append([]float64{loss}, briers...), append([]float64{got.TokenLoss}, got.TokenBrier...), testkit.Untimed); diff != "" {
			t.Errorf("%d rows at a time (-want +got):\n%s", rows, diff)
		}
	}
	got, err := measure(t.Context(), e, varied(4), b, eval.Options{})
	if err != nil || got.TokenLoss != 0 || got.TokenBrier != nil {
		t.Errorf("without heads: %v, %v, %v", got.TokenLoss, got.TokenBrier, err)
	}
}

// TestLMConstant: if the decoder ignores its input, all samples are the same patch, and Brier-n is 2q-1, where q is the part
// of the n-grams that it gets right.
func TestLMConstant(t *testing.T) {
	m := varied(4)
	clear(m.Params.Get("ae_model.decoder.expand_layer.weight").Data)
	table, d := m.Params.Get("ae_model.encoder.embed_tokens.weight").Data, m.Autoencoder.Config.HiddenSize
	clear(table[:'a'*d]) // it writes letters
	clear(table['e'*d:])
	e, b := engine(t, 2), testkit.Letters(t, corpus.Language, 4, 24)
	constant, err := m.NewSampler(e, 1, 1).Draw(make([]float32, m.Config.HiddenSize), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	constant = slices.Clone(constant)
	ids := testkit.IDs(t, b)
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
	got, err := measure(t.Context(), e, m, b, eval.Options{Samples: 5})
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

// TestNotMeasurable: BrierLM is NaN in Go and null as JSON, and its metric is NaN, where a Brier score is not above 0.
func TestNotMeasurable(t *testing.T) {
	m := varied(4)
	clear(m.Params.Get("ae_model.decoder.expand_layer.weight").Data) // all samples are equal, so nearly all are wrong
	r, err := measure(t.Context(), engine(t, 1), m, testkit.Letters(t, corpus.Language, 4, 24), eval.Options{})
	if err != nil || r.Measurable || r.Brier[0] > 0 {
		t.Fatalf("%+v, %v: not suited to this test", r, err)
	}
	if v := metric.Find(r.Metrics(), metric.BrierLM); !math.IsNaN(v) || !math.IsNaN(float64(r.BrierLM)) {
		t.Errorf("BrierLM %v, as a metric %v; want NaN", r.BrierLM, v)
	}
	text, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(text), `"brier_lm":null,`) || !strings.Contains(string(text), `"energy_loss":`) {
		t.Errorf("as JSON %s, %v", text, err)
	}
}

// TestMeasuredAgain: an evaluator gives the same metrics on the same weights and on any number of threads, and others on changed
// weights.
func TestMeasuredAgain(t *testing.T) {
	m, b := varied(4), testkit.Letters(t, corpus.Language, 4, 24)
	o := eval.Options{Rows: 5, MaxBlocks: 13, Samples: 3, Seed: 2}
	v, err := lm.NewEvaluator(engine(t, 1), m, b, o)
	if err != nil {
		t.Fatal(err)
	}
	run := func(v *lm.Evaluator) lm.Measurement {
		r, err := v.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.Seconds = 0
		return r
	}
	first := run(v)
	if diff := cmp.Diff(first, run(v), testkit.Exact); diff != "" {
		t.Errorf("the second run (-first +second):\n%s", diff)
	}
	other, err := lm.NewEvaluator(engine(t, 3), m, b, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, run(other), testkit.Exact); diff != "" {
		t.Errorf("three threads (-one +three):\n%s", diff)
	}
	m.Params.Get("transformer.norm.weight").Data[0] += 1
	if changed := run(v); changed.Head[0] == first.Head[0] {
		t.Error("other weights, the same energy loss")
	}
	o.Seed++
	if v, err = lm.NewEvaluator(engine(t, 1), m, b, o); err != nil || run(v).Head[0] == run(other).Head[0] {
		t.Errorf("another seed, the same energy loss (%v)", err)
	}
}

// TestNotMeasured: layouts, options and weights that cannot be measured are errors.
func TestNotMeasured(t *testing.T) {
	e, language, ae := engine(t, 1), testkit.Letters(t, corpus.Language, 4, 24), testkit.Letters(t, corpus.Autoencoder, 4, 24)
	nan := varied(4)
	nan.Params.Get("transformer.norm.weight").Data[0] = float32(math.NaN())
	for _, c := range []struct {
		want  string
		model *lm.Model
		text  *corpus.Blocks
		o     eval.Options
	}{
		{"laid out for the autoencoder", varied(4), ae, eval.Options{}},
		{"want 8 or more", varied(4), testkit.Letters(t, corpus.Language, 4, 4), eval.Options{}},
		{"want a multiple of the patch size, 5", varied(5), language, eval.Options{}},
		{"1 samples", varied(4), language, eval.Options{Samples: 1}},
		{"-1 blocks at a time", varied(4), language, eval.Options{Rows: -1}},
		{"diverged", nan, language, eval.Options{}},
	} {
		if _, err := measure(t.Context(), e, c.model, c.text, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// measure makes an evaluator and runs it once.
func measure(ctx context.Context, e *cpu.Engine, m *lm.Model, b *corpus.Blocks, o eval.Options) (lm.Measurement, error) {
	v, err := lm.NewEvaluator(e, m, b, o)
	if err != nil {
		return lm.Measurement{}, err
	}
	return v.Run(ctx)
}
