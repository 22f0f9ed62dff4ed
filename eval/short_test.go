package eval_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/backbone"
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

// repeated returns blocks of a text that repeats itself, so that most are equal.
func repeated(t *testing.T, patch, size, letters int) *corpus.Blocks {
	t.Helper()
	docs := func(yield func(corpus.Document, error) bool) {
		yield(corpus.Document{Text: []byte(strings.Repeat("abcb", letters/4)), Source: "repeated"}, nil)
	}
	c, err := corpus.Tokenize(t.Context(), docs, tokenizer.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.All().Blocks(corpus.Layout{Kind: corpus.Language, PatchSize: patch, BlockSize: size})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// distinct maps each different block to the number of times it occurs.
func distinct(t *testing.T, b *corpus.Blocks) map[string]int {
	t.Helper()
	counts := map[string]int{}
	ids, size := read(t, b), b.Layout().BlockSize
	for ; len(ids) > 0; ids = ids[size:] {
		counts[key(ids[:size])]++
	}
	return counts
}

// key packs ids, each into two bytes.
func key(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteByte(byte(id >> 8))
		b.WriteByte(byte(id))
	}
	return b.String()
}

func unpack(k string) (ids []int32) {
	for i := 0; i < len(k); i += 2 {
		ids = append(ids, int32(k[i])<<8|int32(k[i+1]))
	}
	return ids
}

// enumerated computes the exact distribution of a model whose noise is a single number, by trying the values of a grid.
type enumerated struct {
	t       *testing.T
	model   *lm.Model
	session *backbone.Session
	sampler *lm.Sampler
	noise   []float32
	known   map[string]map[string]float64 // by prefix
}

const grid = 400

func enumerate(t *testing.T, e *cpu.Engine, m *lm.Model, capacity int) *enumerated {
	x := &enumerated{t: t, model: m, session: m.NewSession(e, 1, capacity), sampler: m.NewSampler(e, 1, grid), known: map[string]map[string]float64{}}
	for i := range grid {
		x.noise = append(x.noise, (float32(i)+.5)/grid-.5)
	}
	return x
}

// patches returns the probability of each patch that can follow a prefix.
func (x *enumerated) patches(prefix []int32) map[string]float64 {
	at := key(prefix)
	if p := x.known[at]; p != nil {
		return p
	}
	x.session.Truncate(0)
	if err := x.session.Append(prefix); err != nil {
		x.t.Fatal(err)
	}
	tokens, err := x.sampler.DrawFrom(x.session.Hidden(), x.noise)
	if err != nil {
		x.t.Fatal(err)
	}
	p, k := map[string]float64{}, x.model.Config.PatchSize
	for i := 0; i < len(tokens); i += k {
		p[key(tokens[i:i+k])] += 1. / grid
	}
	x.known[at] = p
	return p
}

// collision returns the probability that two draws of n tokens after a prefix are equal.
func (x *enumerated) collision(prefix []int32, n int) float64 {
	k, sum := x.model.Config.PatchSize, 0.
	grams := map[string]float64{}
	for patch, p := range x.patches(prefix) {
		grams[patch[:2*min(n, k)]] += p
	}
	for patch, p := range grams {
		part := p * p
		if n > k {
			part *= x.collision(slices.Concat(prefix, unpack(patch)), n-k)
		}
		sum += part
	}
	return sum
}

// likelihood returns the probability of ids after a prefix.
func (x *enumerated) likelihood(prefix, ids []int32) float64 {
	k, sum := x.model.Config.PatchSize, 0.
	n := min(len(ids), k)
	for patch, p := range x.patches(prefix) {
		if patch[:2*n] == key(ids[:n]) {
			sum += p
		}
	}
	if len(ids) > k && sum > 0 {
		sum *= x.likelihood(slices.Concat(prefix, ids[:k]), ids[k:])
	}
	return sum
}

// TestShortPatchesAreUnbiased: the mean over many draws is the exact score of the model's distribution, which is known by
// enumerating every possible prefix.
func TestShortPatchesAreUnbiased(t *testing.T) {
	e := engine(t, 2)
	for patch, size := range map[int]int{1: 6, 2: 8, 3: 9} {
		t.Run(fmt.Sprintf("K=%d", patch), func(t *testing.T) {
			m := writesLetters(patch)
			b := repeated(t, patch, size, 1200)
			windows := size/patch - (brier.N+patch-1)/patch
			x := enumerate(t, e, m, size/patch+3)
			var want brier.Score
			for block, n := range distinct(t, b) {
				ids := unpack(block)
				for w := range windows {
					prefix, target := ids[:(w+1)*patch], ids[(w+1)*patch:]
					for j := range want {
						s := 2*x.likelihood(prefix, target[:j+1]) - x.collision(prefix, j+1)
						want[j] += 100 * s * float64(n) / float64(int(b.Len())*windows)
					}
				}
			}
			runs := 12
			var sum, squares brier.Score
			for seed := range runs {
				r, err := measureLM(t.Context(), e, m, b, eval.Options{Seed: uint64(seed + 1), Rows: 40, Samples: 7})
				if err != nil {
					t.Fatal(err)
				}
				if r.Positions != int(b.Len())*windows || r.Samples != 2 || len(r.Rollouts) != (brier.N-1)/patch || r.Rollouts[0] == 0 || r.Rollouts[0] >= r.Positions ||
					!slices.IsSortedFunc(r.Rollouts, func(a, b int) int { return b - a }) {
					t.Fatalf("%d positions, %d samples, rollouts %v: want %d positions", r.Positions, r.Samples, r.Rollouts, int(b.Len())*windows)
				}
				for j, v := range r.Brier {
					sum[j] += v
					squares[j] += v * v
				}
			}
			for j := range sum {
				mean := sum[j] / float64(runs)
				sigma := math.Sqrt((squares[j]/float64(runs) - mean*mean) / float64(runs-1))
				if want[j] == 0 || sigma == 0 || sigma > 2 || math.Abs(mean-want[j]) > 4*sigma+.2 { // .2 for the grid
					t.Errorf("Brier-%d %.3f +- %.3f, want %.3f", j+1, mean, sigma, want[j])
				}
			}
		})
	}
}

// writesLetters returns a model whose noise is a single number, and which writes a few letters, sometimes the right ones.
func writesLetters(patch int) *lm.Model {
	c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
	c.PatchSize, ae.PatchSize = patch, patch
	c = testkit.Set(c, "noise_size=1")
	c.InitializerRange, ae.InitializerRange = .4, .4
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(8)
	testkit.Perturb(m.Params, 5, .4)
	table, d := m.Params.Get("ae_model.encoder.embed_tokens.weight").Data, ae.HiddenSize
	clear(table[:'a'*d])
	clear(table['d'*d:])
	return m
}

// TestShortPatchesConstant: a model that always writes the same patch has a Brier-n of 2q-1, where q is the part of the
// n-grams that it gets right. All further patches are drawn, since all samples are equal.
func TestShortPatchesConstant(t *testing.T) {
	e := engine(t, 2)
	for patch := 1; patch <= 4; patch++ {
		const size = 24
		m := writesLetters(patch)
		clear(m.Params.Get("ae_model.decoder.expand_layer.weight").Data)
		constant, err := m.NewSampler(e, 1, 1).Draw(make([]float32, m.Config.HiddenSize), 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		constant = slices.Repeat(slices.Clone(constant), 4)
		b := blocks(t, corpus.Language, patch, size)
		ids := read(t, b)
		for _, reference := range []bool{false, true} {
			windows := size/patch - (brier.N+patch-1)/patch
			if reference && patch < 4 {
				windows--
			}
			var want brier.Score
			for at := 0; at < len(ids); at += size {
				for w := range windows {
					for j := 0; j < brier.N && ids[at+(w+1)*patch+j] == constant[j]; j++ {
						want[j] += 200 / float64(int(b.Len())*windows)
					}
				}
			}
			if want[0] == 0 {
				t.Fatalf("%v begins no patch of the text: not suited to this test", constant)
			}
			for j := range want {
				want[j] -= 100
			}
			o := eval.Options{ReferenceWindows: reference, Rows: 9}
			got, err := measureLM(t.Context(), e, m, b, o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([brier.N]float64(want), got.Brier, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
				t.Errorf("K=%d, reference %t (-want +got):\n%s", patch, reference, diff)
			}
			positions := int(b.Len()) * windows
			if want := slices.Repeat([]int{positions}, (brier.N-1)/patch); got.Positions != positions || !slices.Equal(got.Rollouts, want) {
				t.Errorf("K=%d, reference %t: %d positions, rollouts %v, want %d, %v", patch, reference, got.Positions, got.Rollouts, positions, want)
			}
			if got.Tokens != int(b.Len())*(size-patch) {
				t.Errorf("K=%d: %d tokens predicted, want those of all patches but the first", patch, got.Tokens)
			}
			base, err := eval.Unigram(t.Context(), b, b, 259, patch, o)
			if err != nil || base.Unigram.Positions != positions {
				t.Errorf("K=%d: %d positions of the unigram, want %d: %v", patch, base.Unigram.Positions, positions, err)
			}
		}
	}
}

// markov returns a baseline without attention: its predictions depend on the last token only.
func markov() *ar.Model {
	m := tinyAR()
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
	e, m, b := engine(t, 2), markov(), blocks(t, corpus.Language, 1, 12)
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
	ids := read(t, b)
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
		r, err := measureAR(t.Context(), e, m, b, eval.Options{Seed: uint64(seed + 1), Rows: 7})
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

// TestFurtherDraws: the same weights, seed and batches give the same metrics on any number of threads and when measured
// again; another seed gives others.
func TestFurtherDraws(t *testing.T) {
	m, b, baseline := writesLetters(2), repeated(t, 2, 10, 400), markov()
	text := blocks(t, corpus.Language, 1, 12)
	o := eval.Options{Rows: 7, Seed: 3}
	var firstLM lm.Measurement
	var firstAR ar.Measurement
	for threads := 1; threads <= 3; threads++ {
		e := engine(t, threads)
		v, err := lm.NewEvaluator(e, m, b, o)
		if err != nil {
			t.Fatal(err)
		}
		a, err := ar.NewEvaluator(e, baseline, text, o)
		if err != nil {
			t.Fatal(err)
		}
		for again := range 2 {
			l, err := v.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r, err := a.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l.Seconds, r.Seconds = 0, 0
			if threads == 1 && again == 0 {
				firstLM, firstAR = l, r
			}
			if diff := cmp.Diff(firstLM, l, exact) + cmp.Diff(firstAR, r, exact); diff != "" {
				t.Errorf("%d threads, run %d (-first +this):\n%s", threads, again+1, diff)
			}
		}
	}
	o.Seed++
	l, err := measureLM(t.Context(), engine(t, 1), m, b, o)
	if err != nil || l.Brier == firstLM.Brier {
		t.Errorf("another seed, the same scores (%v)", err)
	}
	r, err := measureAR(t.Context(), engine(t, 1), baseline, text, o)
	if err != nil || r.Brier == firstAR.Brier {
		t.Errorf("another seed, the same scores of the baseline (%v)", err)
	}
}
