package ar_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// writesLetters returns a baseline whose most likely token is always a letter, so that some are right.
func writesLetters() *ar.Model {
	c := testkit.TinyAR()
	c.InitializerRange = .3
	m := ar.New(c, nn.NewParams())
	m.Params.Initialize(3)
	head := m.Params.Get("lm_head.weight").Data
	clear(head[:'a'*c.HiddenSize])
	clear(head['h'*c.HiddenSize:])
	return m
}

// TestARBatches compares the baseline's metrics with those of one program over all blocks: every position counts once and
// with the same weight, for every size of batches.
func TestARBatches(t *testing.T) {
	const size = 24
	e, m, b := engine(t, 2), writesLetters(), testkit.Letters(t, corpus.Language, 1, size)
	n := int(b.Len())
	tr := m.Training(n, size)
	p := e.Compile(tr.Graph, cpu.Inference)
	if err := tr.Fill(p, testkit.IDs(t, b)); err != nil {
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
		got, err := measure(t.Context(), e, m, b, eval.Options{Rows: rows})
		if err != nil {
			t.Fatal(err)
		}
		if got.Blocks != n || got.Positions != n*(size-4) || len(got.Rollouts) != 3 || got.Rollouts[0] == 0 {
			t.Errorf("%d rows at a time: %d positions in %d blocks, rollouts %v", rows, got.Positions, got.Blocks, got.Rollouts)
		}
		got.Result, got.Rollouts = brier.Result{}, nil // their draws depend on the batches: TestARScores checks them
		if diff := cmp.Diff(want, got, testkit.Untimed); diff != "" {
			t.Errorf("%d rows at a time (-want +got):\n%s", rows, diff)
		}
	}
}

// markov returns a baseline without attention: its predictions depend on the last token only.
func markov() *ar.Model {
	m := writesLetters()
	for i := range m.Config.NumHiddenLayers {
		clear(m.Params.Get(fmt.Sprintf("model.layers.%d.self_attn.o_proj.weight", i)).Data)
	}
	head := m.Params.Get("lm_head.weight").Data
	for i := range head {
		head[i] *= 4 // so that draws are equal often enough
	}
	return m
}

// TestARScores compares the scores of a Markov chain with exact ones: likelihoods are products of transition probabilities,
// and collisions sums over them. Brier-1 needs no samples, so it must be equal.
func TestARScores(t *testing.T) {
	e, m, b := engine(t, 2), markov(), testkit.Letters(t, corpus.Language, 1, 12)
	v := m.Config.VocabSize
	s, next := m.NewSession(e, 1, 1), make([][]float64, v)
	for i := range next {
		s.Truncate(0)
		if err := s.Append([]int32{int32(i)}); err != nil {
			t.Fatal(err)
		}
		logits, err := s.Logits()
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, l := range logits[:v] {
			next[i] = append(next[i], math.Exp(float64(l)))
			sum += math.Exp(float64(l))
		}
		for j := range next[i] {
			next[i][j] /= sum
		}
	}
	collision := make([][brier.N + 1]float64, v)
	for i := range collision {
		collision[i][0] = 1
	}
	for n := 1; n <= brier.N; n++ {
		for i := range collision {
			for j, p := range next[i] {
				collision[i][n] += p * p * collision[j][n-1]
			}
		}
	}
	var want brier.Score
	ids := testkit.IDs(t, b)
	for at := 0; at < len(ids); at += 12 {
		for i := at; i < at+8; i++ {
			p := 1.0
			for j := range want {
				p *= next[ids[i+j]][ids[i+j+1]]
				want[j] += 100 * (2*p - collision[ids[i]][j+1]) / float64(int(b.Len())*8)
			}
		}
	}
	const runs = 40
	var sum, squares brier.Score
	for seed := range runs {
		r, err := measure(t.Context(), e, m, b, eval.Options{Seed: uint64(seed + 1), Rows: 7})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(r.Brier[0]-want[0]) > 1e-3 {
			t.Fatalf("Brier-1 %v, want %v exactly", r.Brier[0], want[0])
		}
		if r.Rollouts[2] == 0 || r.Rollouts[0] >= r.Positions {
			t.Fatalf("rollouts %v: not suited to this test", r.Rollouts)
		}
		for j, v := range r.Brier {
			sum[j] += v
			squares[j] += v * v
		}
	}
	for j := 1; j < brier.N; j++ {
		mean := sum[j] / runs
		sigma := math.Sqrt((squares[j]/runs - mean*mean) / (runs - 1))
		if sigma == 0 || sigma > .5 || math.Abs(mean-want[j]) > 4*sigma {
			t.Errorf("Brier-%d %.4f +- %.4f, want %.4f", j+1, mean, sigma, want[j])
		}
	}
}

// TestMeasuredThreads: the same weights, seed and batches give the same metrics on any number of threads and
// when measured again; another seed gives others.
func TestMeasuredThreads(t *testing.T) {
	m, b := markov(), testkit.Letters(t, corpus.Language, 1, 12)
	o := eval.Options{Rows: 7, Seed: 3}
	var first ar.Measurement
	for threads := 1; threads <= 3; threads++ {
		v, err := ar.NewEvaluator(engine(t, threads), m, b, o)
		if err != nil {
			t.Fatal(err)
		}
		for again := range 2 {
			r, err := v.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if r.Seconds = 0; threads == 1 && again == 0 {
				first = r
			}
			if diff := cmp.Diff(first, r, testkit.Exact); diff != "" {
				t.Errorf("%d threads, run %d (-first +this):\n%s", threads, again+1, diff)
			}
		}
	}
	o.Seed++
	r, err := measure(t.Context(), engine(t, 1), m, b, o)
	if err != nil || r.Brier == first.Brier {
		t.Errorf("another seed, the same scores (%v)", err)
	}
}

// TestProgressAndCancel: Progress reaches the total, a cancelled evaluation stops, and results can be written as JSON.
func TestProgressAndCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := testkit.Letters(t, corpus.Language, 1, 24)
	var calls []int
	o := eval.Options{Rows: 4, MaxBlocks: 10, Progress: func(done, total int) {
		calls = append(calls, done)
		if total != 10 {
			t.Errorf("a total of %d, want 10", total)
		}
	}}
	r, err := measure(ctx, engine(t, 1), writesLetters(), b, o)
	if err != nil || !slices.Equal(calls, []int{4, 8, 10}) {
		t.Errorf("Progress was called with %v, %v", calls, err)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	o.Progress = func(int, int) { cancel() }
	if _, err := measure(ctx, engine(t, 1), writesLetters(), b, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

// TestNotMeasured: options that cannot be measured are errors.
func TestNotMeasured(t *testing.T) {
	e, b := engine(t, 1), testkit.Letters(t, corpus.Language, 4, 24)
	for want, o := range map[string]eval.Options{"-1 blocks at a time": {Rows: -1}, "at most -1 blocks": {MaxBlocks: -1}} {
		if _, err := ar.NewEvaluator(e, writesLetters(), b, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// measure makes an evaluator and runs it once.
func measure(ctx context.Context, e *cpu.Engine, m *ar.Model, b *corpus.Blocks, o eval.Options) (ar.Measurement, error) {
	v, err := ar.NewEvaluator(e, m, b, o)
	if err != nil {
		return ar.Measurement{}, err
	}
	return v.Run(ctx)
}
