package brier

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// naive computes the estimate by its definition, pair by pair.
func naive(samples [][]int32, target []int32) Score {
	var s Score
	S := float64(len(samples))
	for n := 1; n <= N; n++ {
		same := func(a, b []int32) float64 {
			for j := range n {
				if a[j] != b[j] {
					return 0
				}
			}
			return 1
		}
		for i, x := range samples {
			s[n-1] += 2 / S * same(x, target)
			for _, other := range samples[:i] {
				s[n-1] -= 2 / (S * (S - 1)) * same(x, other)
			}
		}
	}
	return s
}

func flatten(patches [][]int32) (flat []int32) {
	for _, p := range patches {
		flat = append(flat, p...)
	}
	return flat
}

func TestEstimatorEqualsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		patch := rapid.IntRange(N, 8).Draw(t, "patch")
		number := rapid.IntRange(2, 40).Draw(t, "samples")
		// Few values, so that prefixes collide; extreme ones, to test the packing.
		id := rapid.SampledFrom([]int32{0, 1, 128256, -1, 1<<31 - 1}[:rapid.IntRange(1, 5).Draw(t, "vocab")])
		one := rapid.SliceOfN(id, patch, patch)
		samples := rapid.SliceOfN(one, number, number).Draw(t, "drawn")
		target := one.Draw(t, "target")

		e, err := NewEstimator(number, patch)
		if err != nil {
			t.Fatal(err)
		}
		got, want := e.Score(flatten(samples), target), naive(samples, target)
		for n := range got {
			if d := got[n] - want[n]; d > 1e-12 || d < -1e-12 {
				t.Fatalf("Brier-%d %v, want %v", n+1, got[n], want[n])
			}
		}
		if again := e.Score(flatten(samples), target); again != got {
			t.Fatalf("the second call gives %v, the first %v", again, got)
		}
	})
}

// The expectation of the estimate, over all tuples of samples of a small
// distribution, is the exact score.
func TestEstimatorIsUnbiased(t *testing.T) {
	patches := [][]int32{{0, 0, 0, 0}, {0, 0, 0, 1}, {0, 0, 1, 0}, {0, 1, 0, 0}, {1, 0, 0, 0}}
	p := []float64{.35, .25, .2, .15, .05}
	probability := func(ngram []int32) (sum float64) {
		for i, x := range patches {
			if fmt.Sprint(x[:len(ngram)]) == fmt.Sprint(ngram) {
				sum += p[i]
			}
		}
		return sum
	}
	for _, number := range []int{2, 3, 4} {
		e, err := NewEstimator(number, N)
		if err != nil {
			t.Fatal(err)
		}
		tuples := 1
		for range number {
			tuples *= len(patches)
		}
		for _, target := range append(patches, []int32{1, 1, 1, 1}) {
			var mean Score
			for tuple := range tuples {
				weight, samples := 1.0, []int32(nil)
				for rest := tuple; len(samples) < number*N; rest /= len(patches) {
					weight *= p[rest%len(patches)]
					samples = append(samples, patches[rest%len(patches)]...)
				}
				for n, b := range e.Score(samples, target) {
					mean[n] += weight * b
				}
			}
			near(t, fmt.Sprintf("S = %d, target %v", number, target), mean, exactScore(probability, target), 1e-13)
		}
	}
}

// A model that always gives the same answer and is right with probability q has
// Brier-1 = 2q-1 (docs/spec.md, section 4).
func TestRepeatingModel(t *testing.T) {
	const positions, right = 1000, 800
	for _, number := range []int{2, 5, 200} {
		e, err := NewEstimator(number, N)
		if err != nil {
			t.Fatal(err)
		}
		var a Accumulator
		for i := range positions {
			target := []int32{5, 6, 7, 8}
			answer := target
			if i >= right {
				answer = []int32{1, 2, 3, 4}
			}
			var samples []int32
			for range number {
				samples = append(samples, answer...)
			}
			e.Add(&a, i/100, samples, target)
		}
		for n, b := range a.Result(1).Brier {
			if d := b - 60; d > 1e-9 || d < -1e-9 {
				t.Errorf("S = %d: Brier-%d %v, want 60", number, n+1, b)
			}
		}
	}
}

// Only the first four tokens of a longer patch count.
func TestEstimatorIgnoresFurtherTokens(t *testing.T) {
	e, err := NewEstimator(2, 6)
	if err != nil {
		t.Fatal(err)
	}
	got := e.Score([]int32{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 7, 8}, []int32{1, 2, 3, 4, 9, 9})
	if want := (Score{1, 1, 1, 1}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestNewEstimatorRefuses(t *testing.T) {
	for _, c := range []struct {
		samples, patch int
		message        string
	}{{1, 4, "at least 2"}, {0, 4, "at least 2"}, {2, 3, "at least 4"}, {8, 1, "at least 4"}} {
		_, err := NewEstimator(c.samples, c.patch)
		if err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%d samples of %d tokens: error %v, want one with %q", c.samples, c.patch, err, c.message)
		}
	}
}

// randomIDs returns ids of which low ones are more likely.
func randomIDs(rng *rand.Rand, n, vocab int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(vocab) * rng.IntN(2))
	}
	return ids
}

func BenchmarkEstimator(b *testing.B) {
	const positions, patch = 128, 4
	for _, number := range []int{2, 8, 200} {
		b.Run(fmt.Sprintf("samples=%d", number), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 2))
			samples, targets := randomIDs(rng, positions*number*patch, 50), randomIDs(rng, positions*patch, 50)
			e, err := NewEstimator(number, patch)
			if err != nil {
				b.Fatal(err)
			}
			var a Accumulator
			e.Add(&a, 0, samples, targets)
			b.ReportAllocs()
			for b.Loop() {
				a.Reset()
				e.Add(&a, 0, samples, targets)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*positions), "ns/position")
		})
	}
}
