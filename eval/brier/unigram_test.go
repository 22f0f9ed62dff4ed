package brier

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestUnigramIsExact(t *testing.T) {
	u, err := NewUnigram([]int64{3, 1})
	if err != nil {
		t.Fatal(err)
	}
	p := []float64{.75, .25}
	probability := func(ngram []int32) float64 {
		product := 1.0
		for _, id := range ngram {
			product *= p[id]
		}
		return product
	}
	// On text drawn with the same frequencies, Brier-n is the n-th power of the
	// collision probability.
	var mean Score
	for i := range 1 << N {
		target := bitsOf(i)
		got := u.Score(target)
		near(t, fmt.Sprint(target), got, exactScore(probability, target), 1e-15)
		for n := range mean {
			mean[n] += probability(target) * got[n]
		}
	}
	c := .75*.75 + .25*.25
	near(t, "mean", mean, Score{c, c * c, c * c * c, c * c * c * c}, 1e-15)
}

func TestUnigramOfEqualCountsIsUniform(t *testing.T) {
	counts := make([]int64, 50)
	for i := range counts {
		counts[i] = 9
	}
	u, err := NewUnigram(counts)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "score", u.Score([]int32{0, 49, 3, 3}), Uniform(50), 1e-15)
}

// Samples of the unigram model lead to the same score.
func TestUnigramAgreesWithEstimator(t *testing.T) {
	counts := []int64{4, 3, 2, 1}
	u, err := NewUnigram(counts)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	draw := func() int32 {
		k := rng.Int64N(10)
		for id, c := range counts {
			if k -= c; k < 0 {
				return int32(id)
			}
		}
		panic("unreachable")
	}
	const number, patch = 20_000, 4
	e, err := NewEstimator(number, patch)
	if err != nil {
		t.Fatal(err)
	}
	samples := make([]int32, number*patch)
	for i := range samples {
		samples[i] = draw()
	}
	target := []int32{0, 1, 0, 2}
	near(t, "estimate", e.Score(samples, target), u.Score(target), .02)
}

func TestUnigramUnseenTokens(t *testing.T) {
	u, err := NewUnigram([]int64{1, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range [][]int32{{1, 0, 0, 0}, {3, 0, 0, 0}, {-1, 0, 0, 0}} {
		near(t, fmt.Sprint(target), u.Score(target), Score{-.5, -.25, -.125, -.0625}, 0)
	}
}

func TestNewUnigramRefuses(t *testing.T) {
	for message, counts := range map[string][]int64{
		"no training tokens":        {0, 0},
		"token 1 was counted -2":    {5, -2},
		"no training tokens were c": nil,
	} {
		if _, err := NewUnigram(counts); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("counts %v: error %v, want one with %q", counts, err, message)
		}
	}
}
