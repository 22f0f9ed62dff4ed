package eval_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/tokenizer"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// text is seven documents of letters with some order in them.
func text(t *testing.T) *corpus.Corpus {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	docs := func(yield func(corpus.Document, error) bool) {
		for i := range 7 {
			b := make([]byte, 90+10*i)
			for j := range b {
				b[j] = 'a' + byte(min(rng.IntN(9), rng.IntN(9)))
			}
			if !yield(corpus.Document{Text: b, Source: fmt.Sprint(i)}, nil) {
				return
			}
		}
	}
	c, err := corpus.Tokenize(t.Context(), iter.Seq2[corpus.Document, error](docs), tokenizer.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func blocks(t *testing.T, kind corpus.Kind, patch, size int) *corpus.Blocks {
	t.Helper()
	b, err := text(t).All().Blocks(corpus.Layout{Kind: kind, PatchSize: patch, BlockSize: size})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read returns all whole blocks.
func read(t *testing.T, b *corpus.Blocks) []int32 {
	t.Helper()
	ids := make([]int32, int(b.Len())*b.Layout().BlockSize)
	if _, err := b.Fill(0, ids); err != nil {
		t.Fatal(err)
	}
	return ids
}

func engine(t *testing.T, threads int) *cpu.Engine {
	e := cpu.New(cpu.Options{Threads: threads})
	t.Cleanup(e.Close)
	return e
}

// tinyLM is a model whose samples differ: a fresh head's last layer is zero.
func tinyLM(patch int) *lm.Model {
	c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
	c.PatchSize, ae.PatchSize = patch, patch
	c.InitializerRange, ae.InitializerRange = .3, .3
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(3)
	testkit.Perturb(m.Params, 5, .3)
	return m
}

func tinyAE(patch int) *autoencoder.Model {
	c := testkit.TinyAutoencoder()
	c.PatchSize, c.InitializerRange = patch, .3
	m := autoencoder.New(c, nn.NewParams(), "")
	m.Params.Initialize(3)
	testkit.Perturb(m.Params, 5, .3)
	return m
}

func tinyAR() *ar.Model {
	c := testkit.TinyAR()
	c.InitializerRange = .3
	m := ar.New(c, nn.NewParams())
	m.Params.Initialize(3)
	head := m.Params.Get("lm_head.weight").Data // the likeliest token is a letter, so that some are right
	clear(head[:'a'*c.HiddenSize])
	clear(head['h'*c.HiddenSize:])
	return m
}

// untimed compares results but for their times and for rounding.
var untimed = cmp.Options{
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Seconds" }, cmp.Ignore()),
	cmpopts.EquateApprox(1e-5, 1e-6),
}

// Every position counts once and with the same weight, whatever the batches: here the baseline's figures against those
// of one program over all blocks.
func TestARBatches(t *testing.T) {
	const size = 24
	e, m, b := engine(t, 2), tinyAR(), blocks(t, corpus.Language, 1, size)
	n := int(b.Len())
	tr := m.Training(n, size)
	p := e.Compile(tr.Graph, cpu.Inference)
	if err := tr.Fill(p.Ints, read(t, b)); err != nil {
		t.Fatal(err)
	}
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	tokens := n * (size - 1)
	want := eval.ARResult{
		CrossEntropy: float64(p.Scalar(tr.Tokens.Loss)), Perplexity: math.Exp(float64(p.Scalar(tr.Tokens.Loss))),
		Accuracy: float64(p.Scalar(tr.Tokens.Hits)) / float64(tokens), BlockSize: size, Tokens: tokens,
	}
	if want.Accuracy == 0 || n%4 == 0 || n%8 == 0 {
		t.Fatalf("%d blocks, accuracy %v: the test shows nothing", n, want.Accuracy)
	}
	for _, rows := range []int{0, 1, 4, 8, n, n + 1} {
		got, err := eval.AR(t.Context(), e, m, b, eval.Options{Rows: rows})
		if err != nil {
			t.Fatal(err)
		}
		if got.Blocks != n || got.Positions != n*(size-4) || len(got.Rollouts) != 3 || got.Rollouts[0] == 0 {
			t.Errorf("%d rows at a time: %d positions in %d blocks, rollouts %v", rows, got.Positions, got.Blocks, got.Rollouts)
		}
		got.Result, got.Rollouts = brier.Result{}, nil // of draws that depend on the batches: see TestARScores
		if diff := cmp.Diff(want, got, untimed); diff != "" {
			t.Errorf("%d rows at a time (-want +got):\n%s", rows, diff)
		}
	}
}

// The autoencoder's figures under noise 0, which draws nothing, against a program over all blocks.
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
		got, err := eval.AE(t.Context(), e, m, b, eval.Options{Rows: rows, Sigmas: []float64{0, 1e9}})
		if err != nil {
			t.Fatal(err)
		}
		want := eval.AEResult{
			CrossEntropy: got.CrossEntropy, Accuracy: got.Accuracy, // they depend on draws: see TestAESample
			Noise: []eval.NoiseAccuracy{{0, float64(hits) / float64(len(ids))}, {1e9, got.Noise[1].Accuracy}},
			KL:    total, DimensionKL: kl, // none collapsed
			Blocks: int(b.Len()), BlockSize: b.Layout().BlockSize, Patches: len(ids) / 4, Tokens: len(ids),
		}
		if diff := cmp.Diff(want, got, untimed); diff != "" {
			t.Errorf("%d rows at a time (-want +got):\n%s", rows, diff)
		}
		if got.Noise[1].Accuracy > .2 {
			t.Errorf("accuracy %v under noise that drowns everything", got.Noise[1].Accuracy)
		}
	}
}

// With a posterior of no width a sample is its mean; a dimension of a standard normal posterior is collapsed.
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
	got, err := eval.AE(t.Context(), engine(t, 1), m, b, eval.Options{Sigmas: []float64{0}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Accuracy != got.Noise[0].Accuracy || got.Accuracy == 0 || !(got.CrossEntropy > 0) {
		t.Errorf("accuracy %v of a sample of no width, %v of the mean, cross entropy %v", got.Accuracy, got.Noise[0].Accuracy, got.CrossEntropy)
	}
	if want := 30 - .5; got.Collapsed != 0 || slices.Min(got.DimensionKL) < want {
		t.Errorf("%d dimensions collapsed, least KL %v, want none and at least %v", got.Collapsed, slices.Min(got.DimensionKL), want)
	}
	for _, i := range []int{1, 4} { // a standard normal, whatever the patch
		clear(w.Data[i*d : (i+1)*d])
		bias.Data[i], bias.Data[z+i] = 0, 0
	}
	if got, err = eval.AE(t.Context(), engine(t, 1), m, b, eval.Options{}); err != nil || got.Collapsed != 2 || got.DimensionKL[1] != 0 {
		t.Errorf("%d collapsed, KL %v, %v; want 2", got.Collapsed, got.DimensionKL, err)
	}
}

// The evaluator's scores against samples that the test draws from the same program.
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
	got, err := eval.LM(t.Context(), e, m, b, eval.Options{Seed: 9, Samples: samples, Rows: n})
	if err != nil {
		t.Fatal(err)
	}
	p.SetDraws(9^0x6576616c75617465, 0)
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	drawn := make([]int32, ev.Tokens.Size())
	ev.ByPosition(drawn, p.Ints(ev.Tokens))
	est, err := brier.NewEstimator(samples, 4)
	if err != nil {
		t.Fatal(err)
	}
	var acc brier.Accumulator
	per := size/4 - 1
	for i := range n { // targets cut from the text, not from the program
		est.Add(&acc, i, drawn[i*per*samples*4:][:per*samples*4], ids[i*size+4:(i+1)*size])
	}
	want := eval.LMResult{
		Result: acc.Result(9), HeadLoss: eval.HeadLoss{EnergyLoss: float64(p.Scalar(ev.Head.Loss))},
		Samples: samples, BlockSize: size, Tokens: n * per * 4, Drawn: n * per * samples,
	}
	if want.Brier[0] == 0 || want.Positions != n*per {
		t.Fatalf("Brier-1 %v at %d positions: the test shows nothing", want.Brier[0], want.Positions)
	}
	if diff := cmp.Diff(want, got, untimed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Other batches draw other samples, so what they give is compared with the spread of the estimates: energy loss and
// Brier-1 are means over the same positions.
func TestLMBatches(t *testing.T) {
	e, m, b := engine(t, 2), tinyLM(5), blocks(t, corpus.Language, 5, 25)
	n := int(b.Len())
	base, err := eval.LM(t.Context(), e, m, b, eval.Options{Samples: 80})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []eval.Options{{Rows: 1, Samples: 20}, {Rows: 7, Samples: 50}, {Rows: n - 1, Samples: 50, Seed: 4}} {
		got, err := eval.LM(t.Context(), e, m, b, o)
		if err != nil {
			t.Fatal(err)
		}
		if got.Positions != n*4 || got.Blocks != n || got.Tokens != n*20 || got.Samples != o.Samples {
			t.Errorf("%+v: %+v; want %d blocks of 4 positions", o, got, n)
		}
		if d := math.Abs(got.EnergyLoss/base.EnergyLoss - 1); d > .05 || d == 0 {
			t.Errorf("%+v: energy loss %v, with all rows at a time %v", o, got.EnergyLoss, base.EnergyLoss)
		}
		if d := math.Abs(got.Brier[0] - base.Brier[0]); d > 2 || d == 0 {
			t.Errorf("%+v: Brier-1 %v, with all rows at a time %v", o, got.Brier[0], base.Brier[0])
		}
	}
}

// The auxiliary heads of a model in training: the means over all positions, whatever the batches, and nothing of a model
// without them.
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
		got, err := eval.LM(t.Context(), e, m, b, eval.Options{Rows: rows})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(append([]float64{loss}, briers...), append([]float64{got.TokenLoss}, got.TokenBrier...), untimed); diff != "" {
			t.Errorf("%d rows at a time (-want +got):\n%s", rows, diff)
		}
	}
	got, err := eval.LM(t.Context(), e, tinyLM(4), b, eval.Options{})
	if err != nil || got.TokenLoss != 0 || got.TokenBrier != nil {
		t.Errorf("without heads: %v, %v, %v", got.TokenLoss, got.TokenBrier, err)
	}
}

// With a decoder that is blind to its input all samples are the same patch, and Brier-n is 2q-1 for the share q of the
// n-grams that it gets right.
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
		t.Fatalf("%v begins no patch of the text: the test shows nothing", constant)
	}
	for j := range want {
		want[j] = 100 * (2*want[j]/float64(positions) - 1)
	}
	got, err := eval.LM(t.Context(), e, m, b, eval.Options{Samples: 5})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Brier, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Measurable || got.BrierLM != 0 {
		t.Errorf("BrierLM %v of a model that repeats itself", got.BrierLM)
	}
}

// An evaluator runs again on changed weights, gives the same figures on the same ones, and no thread count matters.
func TestRunAgain(t *testing.T) {
	m, b := tinyLM(4), blocks(t, corpus.Language, 4, 24)
	o := eval.Options{Rows: 5, MaxBlocks: 13, Samples: 3, Seed: 2}
	v, err := eval.NewLM(engine(t, 1), m, b, o)
	if err != nil {
		t.Fatal(err)
	}
	run := func(v *eval.LMEvaluator) eval.LMResult {
		r, err := v.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.Seconds = 0
		return r
	}
	first := run(v)
	if diff := cmp.Diff(first, run(v)); diff != "" {
		t.Errorf("the second run (-first +second):\n%s", diff)
	}
	other, err := eval.NewLM(engine(t, 3), m, b, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, run(other)); diff != "" {
		t.Errorf("three threads (-one +three):\n%s", diff)
	}
	m.Params.Get("transformer.norm.weight").Data[0] += 1
	if changed := run(v); changed.EnergyLoss == first.EnergyLoss {
		t.Error("other weights, the same energy loss")
	}
	o.Seed++
	if v, err = eval.NewLM(engine(t, 1), m, b, o); err != nil || run(v).EnergyLoss == run(other).EnergyLoss {
		t.Errorf("another seed, the same energy loss (%v)", err)
	}
}

// The baselines stand on the positions of the language model's evaluation.
func TestUnigram(t *testing.T) {
	train, held := blocks(t, corpus.Language, 4, 8), blocks(t, corpus.Language, 4, 24)
	o := eval.Options{MaxBlocks: 5}
	r, err := eval.Unigram(t.Context(), train, held, 259, 4, o)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[int32]float64{}
	all := read(t, train)
	for _, id := range all {
		counts[id] += 1 / float64(len(all))
	}
	collision := 0.0
	for _, p := range counts {
		collision += p * p
	}
	ids, want := read(t, held), 0.0
	n := int(held.Len())
	for i := range 5 {
		block := ids[i*n/5*24:][:24]
		for at := 4; at < 24; at += 4 {
			want += 100 * (2*counts[block[at]] - collision) / 25
		}
	}
	if math.Abs(r.Unigram.Brier[0]-want) > 1e-9 || r.Unigram.Positions != 25 || r.Unigram.Blocks != 5 {
		t.Errorf("Brier-1 of the unigram %v at %d positions of %d blocks, want %v", r.Unigram.Brier[0], r.Unigram.Positions, r.Unigram.Blocks, want)
	}
	if want := 100 * math.Pow(259, -2.5); math.Abs(r.Uniform.BrierLM-want) > 1e-12 || r.Uniform.Positions != 25 {
		t.Errorf("BrierLM of the uniform model %v, want %v", r.Uniform.BrierLM, want)
	}
	l, err := eval.LM(t.Context(), engine(t, 1), tinyLM(4), held, o)
	if err != nil || l.Positions != r.Unigram.Positions || l.Blocks != r.Unigram.Blocks {
		t.Errorf("the language model has %d positions, %v", l.Positions, err)
	}
	if _, err := eval.Unigram(t.Context(), train, held, 100, 4, o); err == nil || !strings.Contains(err.Error(), "another tokenizer") {
		t.Errorf("a vocabulary of 100: %v", err)
	}
}

func TestBadInput(t *testing.T) {
	e, language, ae := engine(t, 1), blocks(t, corpus.Language, 4, 24), blocks(t, corpus.Autoencoder, 4, 24)
	short := blocks(t, corpus.Language, 4, 4)
	for _, c := range []struct {
		name, want string
		run        func() error
	}{
		{"layout of another kind", "laid out for the autoencoder", func() error { _, err := eval.NewLM(e, tinyLM(4), ae, eval.Options{}); return err }},
		{"blocks of one patch", "want 8 or more", func() error { _, err := eval.NewLM(e, tinyLM(4), short, eval.Options{}); return err }},
		{"no multiple", "no whole patches of 5", func() error { _, err := eval.NewLM(e, tinyLM(5), language, eval.Options{}); return err }},
		{"one sample", "1 samples", func() error { _, err := eval.NewLM(e, tinyLM(4), language, eval.Options{Samples: 1}); return err }},
		{"other patches", "patches of 4", func() error { _, err := eval.NewAE(e, tinyAE(6), ae, eval.Options{}); return err }},
		{"sigma", "deviation -1", func() error { _, err := eval.NewAE(e, tinyAE(4), ae, eval.Options{Sigmas: []float64{-1}}); return err }},
		{"rows", "-1 blocks at a time", func() error { _, err := eval.NewAR(e, tinyAR(), language, eval.Options{Rows: -1}); return err }},
		{"blocks", "at most -1 blocks", func() error { _, err := eval.NewAR(e, tinyAR(), language, eval.Options{MaxBlocks: -1}); return err }},
		{"weights", "diverged", func() error {
			m := tinyLM(4)
			m.Params.Get("transformer.norm.weight").Data[0] = float32(math.NaN())
			_, err := eval.LM(t.Context(), e, m, language, eval.Options{})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// Progress reaches the total, a cancelled evaluation stops, and results are JSON.
func TestProgressAndCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := blocks(t, corpus.Language, 1, 24)
	var told []int
	o := eval.Options{Rows: 4, MaxBlocks: 10, Progress: func(done, total int) {
		told = append(told, done)
		if total != 10 {
			t.Errorf("a total of %d, want 10", total)
		}
	}}
	r, err := eval.AR(ctx, engine(t, 1), tinyAR(), b, o)
	if err != nil || !slices.Equal(told, []int{4, 8, 10}) {
		t.Errorf("told %v, %v", told, err)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	o.Progress = func(int, int) { cancel() }
	if _, err := eval.AR(ctx, engine(t, 1), tinyAR(), b, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}
