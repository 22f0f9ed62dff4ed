package temperature

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The paper's example: {A,C,A,D,B,E,A,F,B,G} at T = 1/2 gives A 3/4, B 1/4.
func TestCandidatesOfThePaper(t *testing.T) {
	pool := &Patches{K: 2}
	for _, letter := range "ACADBEAFBG" {
		pool.IDs = append(pool.IDs, letter, 7)
	}
	b := mustBatch(t, .5, 2, 10)
	c, err := b.Candidates(pool)
	if err != nil || len(c) != 2 {
		t.Fatal(c, err)
	}
	if c[0].Draw != 0 || c[0].Count != 3 || c[0].Weight != 1 || c[1].Draw != 4 || c[1].Count != 2 || math.Abs(c[1].Weight-1./3) > 1e-15 {
		t.Errorf("candidates %+v", c)
	}
	for u, want := range map[float64]int32{0: 'A', .7499999: 'A', .7500001: 'B', 1 - 0x1p-53: 'B'} {
		dst := make([]int32, 2)
		if _, err := b.Sample(dst, pool, func() float64 { return u }); err != nil || dst[0] != want || dst[1] != 7 {
			t.Errorf("u = %v chooses %v (%v), want %c", u, dst, err, want)
		}
	}
}

// counted is a distinct patch of a pool: its first draw, and how many draws are equal to it.
type counted struct{ first, count int }

// countPatches lists the distinct patches by first appearance, without diverged ones.
func countPatches(pool *Patches, N int) (out []counted) {
	at := map[string]int{}
	for i := range N {
		if pool.IDs[i*pool.K] < 0 {
			continue
		}
		key := fmt.Sprint(pool.IDs[i*pool.K:][:pool.K])
		if _, ok := at[key]; !ok {
			at[key] = len(out)
			out = append(out, counted{first: i})
		}
		out[at[key]].count++
	}
	return out
}

// The batch sampler by its definition: all patches of the pool by first appearance, with the weights of their counts, s
// cut to the largest. It asks for every token that this takes, and for few others.
func batchEqualsDefinition(t *rapid.T) {
	pool, N := drawPool(t)
	T := drawT(t, 0)
	s, err := exponent(T)
	if err != nil {
		t.Fatal(err)
	}
	b := mustBatch(t, T, pool.K, N)
	groups, counts := countPatches(pool, N), []int{}
	for _, g := range groups {
		counts = append(counts, g.count)
	}
	var want []Candidate
	p := weighed(counts, s)
	for i, q := range p {
		if q > 0 {
			want = append(want, Candidate{Draw: groups[i].first, Count: groups[i].count, Weight: q / slices.Max(p)})
		}
	}
	draws := check(t, pool.K, pool)
	got, err := b.Candidates(draws)
	if err != nil || len(got) != len(want) {
		t.Fatalf("T = %v: candidates %+v (%v), want %+v", T, got, err, want)
	}
	for i, c := range got {
		if c.Draw != want[i].Draw || c.Count != want[i].Count || math.Abs(c.Weight-want[i].Weight) > 1e-9 {
			t.Fatalf("T = %v: candidate %+v, want %+v", T, c, want[i])
		}
	}
	checkNeeded(t, pool, draws, min(int(min(s, 1e9)), slices.Max(counts)))

	// A patch for each uniform number, and the tokens of the one that is chosen.
	draws = check(t, pool.K, pool)
	u, dst, taken := rapid.Float64Range(0, 1-1e-9).Draw(t, "u"), make([]int32, pool.K), 0
	if n, err := b.Sample(dst, draws, func() float64 { taken++; return u }); err != nil || n != N || taken != 1 {
		t.Fatalf("%d draws, %d uniform numbers, %v", n, taken, err)
	}
	checkShares(t, pool, N, dst, b.Shares())
	at, sum := slices.IndexFunc(groups, func(g counted) bool { return slices.Equal(pool.IDs[g.first*pool.K:][:pool.K], dst) }), 0.
	if at < 0 {
		t.Fatalf("%v is not in the pool", dst)
	}
	for _, q := range p[:at] {
		sum += q
	}
	if u < sum-1e-9 || u > sum+p[at]+1e-9 {
		t.Fatalf("T = %v: u = %v chose %v, whose share begins at %v and is %v", T, u, dst, sum, p[at])
	}
}

// checkNeeded compares the tokens that were asked for with those that are needed to find the patches that occur least
// times or more: of the draws whose prefix does, more than one of them. Prefixes half as frequent may be taken along.
func checkNeeded(t *rapid.T, pool *Patches, draws *checked, least int) {
	for i, asked := range draws.known {
		for k := 1; k < pool.K; k++ {
			size := 0
			for j := range draws.known {
				if pool.IDs[j*pool.K] >= 0 && slices.Equal(pool.IDs[i*pool.K:][:k], pool.IDs[j*pool.K:][:k]) {
					size++
				}
			}
			if need := size >= max(2, least); need && asked <= k {
				t.Fatalf("token %d of draw %d was not asked for: %d draws have its prefix, %d matter", k, i, size, least)
			}
			if asked > k && size < max(2, (least+1)/2) {
				t.Fatalf("token %d of draw %d was asked for: only %d draws have its prefix, %d matter", k, i, size, least)
			}
		}
	}
}

func TestBatchEqualsDefinition(t *testing.T) { rapid.Check(t, batchEqualsDefinition) }
func FuzzBatch(f *testing.F)                 { f.Fuzz(rapid.MakeFuzz(batchEqualsDefinition)) }

// Where patches occur often enough, one call a token does; where none does, few more.
func TestBatchAsksInFewCalls(t *testing.T) {
	for _, c := range []struct {
		T      float64
		ids    func(i int) []int32 // of draw i
		tokens int
		calls  int
	}{
		{.5, func(int) []int32 { return []int32{1, 2, 3} }, 3 * 64, 3},
		{.5, func(i int) []int32 { return []int32{int32(i), 2, 3} }, 64 + 2, 3}, // nothing is equal: the chosen draw's alone
		{.5, func(i int) []int32 { return []int32{int32(i / 2), 2, int32(i)} }, 3 * 64, 3},
		{.25, func(i int) []int32 { return []int32{int32(max(i, 60)), 2, 3} }, 64 + 2*61, 3}, // of 61 equal draws, 3 others
		{0, func(i int) []int32 { return []int32{int32(i % 3), 2, int32(i % 2)} }, 3 * 64, 3},
		{0, func(i int) []int32 { return []int32{int32(max(i, 33)), int32(i), 3} }, 64 + 34 + 1, 3}, // 34 equal first tokens
		// 40 draws have one first token, 10 each of these one second token; then 12 pairs, which do not matter.
		{0, func(i int) []int32 { return []int32{int32(max(i, 39) / 2), int32(i / 10), 3} }, 64 + 40 + 40, 3},
	} {
		b := mustBatch(t, c.T, 3, 64)
		pool := &Patches{K: 3}
		for i := range 64 {
			pool.IDs = append(pool.IDs, c.ids(i)...)
		}
		draws := check(t, 3, pool)
		if _, err := b.Sample(make([]int32, 3), draws, func() float64 { return 0 }); err != nil {
			t.Fatal(err)
		}
		if draws.asked() != c.tokens || draws.calls != c.calls {
			t.Errorf("T = %v, pool %v..: asked for %d tokens in %d calls, want %d in %d", c.T, pool.IDs[:12], draws.asked(), draws.calls, c.tokens, c.calls)
		}
	}
}

// The bias at T = 1/3 that docs/spec.md, section 5 states: exactly for small pools, and as a mean of the weights over
// many pools for large ones.
func TestBatchBias(t *testing.T) {
	l, target := laws["six symbols"], powered(example, 1./3)
	for N, want := range map[int]float64{3: .303, 10: .127} {
		biased := l.overPools(N, func(counts []int) []float64 { return weighed(counts, 3) })
		if tv := totalVariation(biased, target); math.Abs(tv-want) > .0006 {
			t.Errorf("N = %d: total variation %.4f, want %v", N, tv, want)
		}
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		N, pools        int
		want, tolerance float64
	}{{50, 20_000, .037, .004}, {200, 10_000, .0101, .003}, {500, 8_000, .0040, .002}} {
		b := mustBatch(t, 1./3, 1, c.N)
		mean := make([]float64, len(example))
		for range c.pools {
			for i, q := range l.batchRuns(t, b, &Patches{K: 1, IDs: l.pool(rng, c.N)}) {
				mean[i] += q / float64(c.pools)
			}
		}
		if tv := totalVariation(mean, target); math.Abs(tv-c.want) > c.tolerance {
			t.Errorf("N = %d: total variation %.4f, want %v", c.N, tv, c.want)
		}
	}
}

// Weights beyond any float64 stay in proportion, and so does the choice by them.
func TestLargeWeights(t *testing.T) {
	pool := &Patches{K: 1, IDs: make([]int32, 400)}
	for i := range pool.IDs[:199] {
		pool.IDs[i] = 1
	}
	b := mustBatch(t, .01, 1, 400) // 199 times 1, 201 times 0
	c, err := b.Candidates(pool)
	if err != nil {
		t.Fatal(err)
	}
	ratio := 101. * 100 / (201 * 200) // C(199,100) / C(201,100)
	if d := cmp.Diff([]int{199, 201}, []int{c[0].Count, c[1].Count}); d != "" || math.Abs(c[0].Weight-ratio) > 1e-12 || c[1].Weight != 1 {
		t.Errorf("candidates %+v, want weights %v and 1", c, ratio)
	}
}
