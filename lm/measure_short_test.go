package lm_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// distinct maps each different block to the number of times it occurs.
func distinct(t *testing.T, b *corpus.Blocks) map[string]int {
	t.Helper()
	counts := map[string]int{}
	ids, size := testkit.IDs(t, b), b.Layout().BlockSize
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
			b := testkit.Repeated(t, "abcb", 300, corpus.Language, patch, size)
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
				r, err := measure(t.Context(), e, m, b, eval.Options{Seed: uint64(seed + 1), Rows: 40, Samples: 7})
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
		b := testkit.Letters(t, corpus.Language, patch, size)
		ids := testkit.IDs(t, b)
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
			got, err := measure(t.Context(), e, m, b, o)
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

// TestMeasuredThreads: with further patches, the same weights, seed and batches give the same metrics on any number of threads and
// when measured again; another seed gives others.
func TestMeasuredThreads(t *testing.T) {
	m, b := writesLetters(2), testkit.Repeated(t, "abcb", 100, corpus.Language, 2, 10)
	o := eval.Options{Rows: 7, Seed: 3}
	var first lm.Measurement
	for threads := 1; threads <= 3; threads++ {
		v, err := lm.NewEvaluator(engine(t, threads), m, b, o)
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
