package temperature

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// probabilities are the candidates' weights over their sum.
func probabilities(c *Candidates) []float64 {
	total := new(big.Int)
	for i := range c.Len() {
		total.Add(total, c.Weight(i))
	}
	out := make([]float64, c.Len())
	for i := range out {
		out[i], _ = new(big.Rat).SetFrac(c.Weight(i), total).Float64()
	}
	return out
}

// The paper's example: {A,C,A,D,B,E,A,F,B,G} at T = 1/2 gives A 3/4, B 1/4.
func TestCandidatesOfThePaper(t *testing.T) {
	var pool []int32
	for _, letter := range "ACADBEAFBG" {
		pool = append(pool, letter, 7)
	}
	c := NewCandidates(pool, 2, 2)
	if d := cmp.Diff([]int{3, 2}, c.Counts); d != "" || c.M != 2 {
		t.Errorf("m = %d, counts %v", c.M, c.Counts)
	}
	if a, b := c.Patch(0), c.Patch(1); a[0] != 'A' || b[0] != 'B' {
		t.Errorf("candidates %v, %v", a, b)
	}
	if d := cmp.Diff([]float64{.75, .25}, probabilities(c)); d != "" {
		t.Error(d)
	}
	for u, want := range map[float64]int{0: 0, .7499999: 0, .75: 1, 1 - 0x1p-53: 1} {
		if got := c.Choose(u); got != want {
			t.Errorf("u = %v chooses %d, want %d", u, got, want)
		}
	}
}

// The candidates by the definition: the cascade, one m after another.
func TestCandidatesEqualDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const patch = 2
		n := rapid.IntRange(1, 6).Draw(t, "n")
		values := rapid.IntRange(1, 8).Draw(t, "values")
		draws := rapid.SliceOfN(rapid.IntRange(0, values-1), 1, 30).Draw(t, "draws")
		var pool []int32
		counts := make([]int, values)
		var distinct []int
		for _, x := range draws {
			pool = append(pool, int32(x%3-1), int32(x/3))
			if counts[x]++; counts[x] == 1 {
				distinct = append(distinct, x)
			}
		}
		got := NewCandidates(pool, patch, n)
		m := n
		for !slices.ContainsFunc(counts, func(c int) bool { return c >= m }) {
			m--
		}
		i := 0
		for _, x := range distinct {
			if counts[x] < m {
				continue
			}
			want := []int32{int32(x%3 - 1), int32(x / 3)}
			if i == got.Len() || !slices.Equal(got.Patch(i), want) || got.Counts[i] != counts[x] {
				t.Fatalf("candidate %d of %d is not %v, %d times", i, got.Len(), want, counts[x])
			}
			i++
		}
		if i != got.Len() || got.M != m {
			t.Fatalf("%d candidates at m = %d, want %d at %d", got.Len(), got.M, i, m)
		}
	})
}

// biased returns Algorithm 2's output distribution for a pool of N draws, by
// summing over every possible vector of counts.
func biased(p []float64, N, n int) []float64 {
	out := make([]float64, len(p))
	var visit func(symbol, left int, logP float64, pool []int32)
	visit = func(symbol, left int, logP float64, pool []int32) {
		if symbol == len(p)-1 {
			for range left {
				pool = append(pool, int32(symbol))
			}
			factorial, _ := math.Lgamma(float64(left) + 1)
			weight := math.Exp(logP + float64(left)*math.Log(p[symbol]) - factorial)
			c := NewCandidates(pool, 1, n)
			for i, q := range probabilities(c) {
				out[c.Patch(i)[0]] += weight * q
			}
			return
		}
		for k := 0; k <= left; k++ {
			factorial, _ := math.Lgamma(float64(k) + 1)
			visit(symbol+1, left-k, logP+float64(k)*math.Log(p[symbol])-factorial, pool)
			pool = append(pool, int32(symbol))
		}
	}
	factorial, _ := math.Lgamma(float64(N) + 1)
	visit(0, N, factorial, nil)
	return out
}

// SPEC section 5's bias at T = 1/3: exactly for small pools, and as a mean of the
// weights over many pools for large ones.
func TestBatchBias(t *testing.T) {
	target := powered(example, 1./3)
	for N, want := range map[int]float64{3: .303, 10: .127} {
		if tv := totalVariation(biased(example, N, 3), target); math.Abs(tv-want) > .0006 {
			t.Errorf("N = %d: total variation %.4f, want %v", N, tv, want)
		}
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		N, pools        int
		want, tolerance float64
	}{{50, 20_000, .037, .004}, {200, 10_000, .0101, .003}, {500, 8_000, .0040, .002}} {
		mean, pool := make([]float64, len(example)), make([]int32, c.N)
		for range c.pools {
			for i := range pool {
				pool[i] = symbol(rng, example)
			}
			found := NewCandidates(pool, 1, 3)
			for i, q := range probabilities(found) {
				mean[found.Patch(i)[0]] += q / float64(c.pools)
			}
		}
		if tv := totalVariation(mean, target); math.Abs(tv-c.want) > c.tolerance {
			t.Errorf("N = %d: total variation %.4f, want %v", c.N, tv, c.want)
		}
	}
}

// Sample draws the whole pool and its frequencies are Algorithm 2's.
func TestBatchDistribution(t *testing.T) {
	const runs, N = 20_000, 10
	for _, n := range []int{1, 2, 3} {
		b, err := NewBatch(1/float64(n), exampleK, N)
		if err != nil {
			t.Fatal(err)
		}
		rng, uniform := rand.New(rand.NewPCG(7, 8)), rand.New(rand.NewPCG(9, 10)).Float64
		dst, counts := make([]int32, exampleK), make([]int, len(example))
		for range runs {
			if err := b.Sample(dst, drawing(t, rng, example, 0), uniform); err != nil {
				t.Fatal(err)
			}
			counts[dst[0]]++
		}
		checkFrequencies(t, counts, biased(example, N, n))
	}
}

// Weights beyond int64 stay exact, and so does the choice by them.
func TestLargeWeights(t *testing.T) {
	pool := make([]int32, 400)
	for i := range pool[:199] {
		pool[i] = 1
	}
	c := NewCandidates(pool, 1, 100) // 199 times 1, 201 times 0
	ratio := 1.0                     // C(201,100) / C(199,100) = 201*200 / (101*100)
	ratio = ratio * 201 * 200 / (101 * 100)
	if c.Weight(0).IsInt64() {
		t.Error("C(199, 100) fits an int64?")
	}
	got := probabilities(c)
	if want := 1 / (1 + ratio); math.Abs(got[0]-want) > 1e-15 {
		t.Errorf("probability %v, want %v", got[0], want)
	}
	for _, d := range []float64{-1e-12, 1e-12} {
		want := 0
		if d > 0 {
			want = 1
		}
		if i := c.Choose(got[0] + d); i != want {
			t.Errorf("u = %v %+v chooses %d, want %d", got[0], d, i, want)
		}
	}
}

// Choose maps [0, 1) onto the candidates in their order and proportion.
func TestChooseIsProportional(t *testing.T) {
	c := NewCandidates([]int32{4, 4, 4, 4, 5, 5, 5, 6, 6, 7}, 1, 2) // weights 6, 3, 1
	counts := make([]int, c.Len())
	const steps = 10_000
	last := 0
	for i := range steps {
		choice := c.Choose((float64(i) + .5) / steps)
		if choice < last {
			t.Fatal("not monotonic")
		}
		last = choice
		counts[choice]++
	}
	if d := cmp.Diff([]int{6000, 3000, 1000}, counts); d != "" {
		t.Error(d)
	}
}

func BenchmarkCandidates(b *testing.B) {
	for _, n := range []int{2, 100} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			var pool []int32
			for range DefaultPool {
				x := symbol(rng, example)
				pool = append(pool, 1, 2, 3, x)
			}
			for b.Loop() {
				NewCandidates(pool, 4, n).Choose(.5)
			}
		})
	}
}
