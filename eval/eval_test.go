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

// measureLM, measureAR and measureAE make an evaluator and run it once.

func measureLM(ctx context.Context, e *cpu.Engine, m *lm.Model, b *corpus.Blocks, o eval.Options) (lm.Measurement, error) {
	v, err := lm.NewEvaluator(e, m, b, o)
	if err != nil {
		return lm.Measurement{}, err
	}
	return v.Run(ctx)
}

func measureAR(ctx context.Context, e *cpu.Engine, m *ar.Model, b *corpus.Blocks, o eval.Options) (ar.Measurement, error) {
	v, err := ar.NewEvaluator(e, m, b, o)
	if err != nil {
		return ar.Measurement{}, err
	}
	return v.Run(ctx)
}

func measureAE(ctx context.Context, e *cpu.Engine, m *autoencoder.Model, b *corpus.Blocks, o eval.Options) (autoencoder.Measurement, error) {
	v, err := autoencoder.NewEvaluator(e, m, b, o)
	if err != nil {
		return autoencoder.Measurement{}, err
	}
	return v.Run(ctx)
}

// text returns seven documents of letters that are not entirely random.
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

// tinyLM returns a model whose samples differ. (The last layer of a newly made head is zero, so its samples are equal.)
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
	head := m.Params.Get("lm_head.weight").Data // the most likely token is a letter, so that some are right
	clear(head[:'a'*c.HiddenSize])
	clear(head['h'*c.HiddenSize:])
	return m
}

// untimed compares results without their times, and up to rounding.
var untimed = cmp.Options{
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Seconds" }, cmp.Ignore()),
	cmpopts.EquateApprox(1e-5, 1e-6),
	exact,
}

// exact makes scores that are not measurable equal.
var exact = cmp.Options{cmp.Transformer("percent", func(p brier.Percent) float64 { return float64(p) }), cmpopts.EquateNaNs()}

// TestARBatches compares the baseline's metrics with those of one program over all blocks: every position counts once and
// with the same weight, for every size of batches.
func TestARBatches(t *testing.T) {
	const size = 24
	e, m, b := engine(t, 2), tinyAR(), blocks(t, corpus.Language, 1, size)
	n := int(b.Len())
	tr := m.Training(n, size)
	p := e.Compile(tr.Graph, cpu.Inference)
	if err := tr.Fill(p, read(t, b)); err != nil {
		t.Fatal(err)
	}
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	tokens := n * (size - 1)
	want := ar.Measurement{
		CrossEntropy: float64(p.Scalar(tr.Tokens.Loss)), Perplexity: math.Exp(float64(p.Scalar(tr.Tokens.Loss))),
		Accuracy: float64(p.Scalar(tr.Tokens.Hits)) / float64(tokens), BlockSize: size, Tokens: tokens,
	}
	if want.Accuracy == 0 || n%4 == 0 || n%8 == 0 {
		t.Fatalf("%d blocks, accuracy %v: not suited to this test", n, want.Accuracy)
	}
	for _, rows := range []int{0, 1, 4, 8, n, n + 1} {
		got, err := measureAR(t.Context(), e, m, b, eval.Options{Rows: rows})
		if err != nil {
			t.Fatal(err)
		}
		if got.Blocks != n || got.Positions != n*(size-4) || len(got.Rollouts) != 3 || got.Rollouts[0] == 0 {
			t.Errorf("%d rows at a time: %d positions in %d blocks, rollouts %v", rows, got.Positions, got.Blocks, got.Rollouts)
		}
		got.Result, got.Rollouts = brier.Result{}, nil // their draws depend on the batches: TestARScores checks them
		if diff := cmp.Diff(want, got, untimed); diff != "" {
			t.Errorf("%d rows at a time (-want +got):\n%s", rows, diff)
		}
	}
}

// TestRunAgain: an evaluator gives the same metrics on the same weights and on any number of threads, and others on changed
// weights.
func TestRunAgain(t *testing.T) {
	m, b := tinyLM(4), blocks(t, corpus.Language, 4, 24)
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
	if diff := cmp.Diff(first, run(v), exact); diff != "" {
		t.Errorf("the second run (-first +second):\n%s", diff)
	}
	other, err := lm.NewEvaluator(engine(t, 3), m, b, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, run(other), exact); diff != "" {
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

// TestUnigram: the baselines are scored at the positions of the language model's evaluation.
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
	if want := 100 * math.Pow(259, -2.5); math.Abs(float64(r.Uniform.BrierLM)-want) > 1e-12 || r.Uniform.Positions != 25 {
		t.Errorf("BrierLM of the uniform model %v, want %v", r.Uniform.BrierLM, want)
	}
	l, err := measureLM(t.Context(), engine(t, 1), tinyLM(4), held, o)
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
		{"layout of another kind", "laid out for the autoencoder", func() error { _, err := lm.NewEvaluator(e, tinyLM(4), ae, eval.Options{}); return err }},
		{"blocks of one patch", "want 8 or more", func() error { _, err := lm.NewEvaluator(e, tinyLM(4), short, eval.Options{}); return err }},
		{"no multiple", "want a multiple of the patch size, 5", func() error { _, err := lm.NewEvaluator(e, tinyLM(5), language, eval.Options{}); return err }},
		{"one sample", "1 samples", func() error { _, err := lm.NewEvaluator(e, tinyLM(4), language, eval.Options{Samples: 1}); return err }},
		{"other patches", "patches of 4", func() error { _, err := autoencoder.NewEvaluator(e, tinyAE(6), ae, eval.Options{}); return err }},
		{"sigma", "deviation -1", func() error {
			_, err := autoencoder.NewEvaluator(e, tinyAE(4), ae, eval.Options{Sigmas: []float64{-1}})
			return err
		}},
		{"rows", "-1 blocks at a time", func() error { _, err := ar.NewEvaluator(e, tinyAR(), language, eval.Options{Rows: -1}); return err }},
		{"blocks", "at most -1 blocks", func() error {
			_, err := ar.NewEvaluator(e, tinyAR(), language, eval.Options{MaxBlocks: -1})
			return err
		}},
		{"weights", "diverged", func() error {
			m := tinyLM(4)
			m.Params.Get("transformer.norm.weight").Data[0] = float32(math.NaN())
			_, err := measureLM(t.Context(), e, m, language, eval.Options{})
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

// TestProgressAndCancel: Progress reaches the total, a cancelled evaluation stops, and results can be written as JSON.
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
	r, err := measureAR(ctx, engine(t, 1), tinyAR(), b, o)
	if err != nil || !slices.Equal(told, []int{4, 8, 10}) {
		t.Errorf("told %v, %v", told, err)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	o.Progress = func(int, int) { cancel() }
	if _, err := measureAR(ctx, engine(t, 1), tinyAR(), b, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}
