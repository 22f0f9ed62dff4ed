package brier

import (
	"cmp"
	"fmt"
	"slices"
)

// Estimator scores positions of a patch model from S samples of each. Its
// estimate is unbiased and uses all pairs of samples:
//
//	Brier-n = 2/S sum_s [x_s = y] - 2/(S(S-1)) sum_{s<t} [x_s = x_t],
//
// where two n-grams are equal when all of their n tokens are. S = 2 is the
// paper's estimator. An Estimator is not safe for concurrent use.
type Estimator struct {
	samples  int
	patch    int
	prefixes []prefix // the samples' n-grams, sorted  [S]
}

// NewEstimator returns an estimator for patches of patch tokens, with that many
// samples at a position. It returns an error for fewer than two samples, which
// form no pair, and for patches of fewer than N tokens, for which Continued is.
func NewEstimator(samples, patch int) (*Estimator, error) {
	if samples < 2 {
		return nil, fmt.Errorf("samples a position: %d: the Brier score needs at least 2", samples)
	}
	if patch < N {
		return nil, fmt.Errorf("patch size %d: BrierLM from single patches needs patches of at least %d tokens", patch, N)
	}
	return &Estimator{samples: samples, patch: patch, prefixes: make([]prefix, samples)}, nil
}

// Score returns the score of one position, in [-1, 1]: samples [S, K] drawn
// independently from the model, target [K]. Only the first N tokens of a patch
// count. It panics on other lengths, allocates nothing and takes O(S log S).
func (e *Estimator) Score(samples, target []int32) Score {
	if len(samples) != e.samples*e.patch || len(target) != e.patch {
		panic(fmt.Sprintf("brier: %d sampled and %d target ids, want %d x %d and %[4]d",
			len(samples), len(target), e.samples, e.patch))
	}
	y := pack(target)
	var hits, pairs [N]int
	for s := range e.prefixes {
		x := pack(samples[s*e.patch:])
		e.prefixes[s] = x
		for j := range x.equal(y) {
			hits[j]++
		}
	}
	countPairs(e.prefixes, &pairs)

	var score Score
	S := float64(e.samples)
	for j := range score {
		score[j] = 2*float64(hits[j])/S - 2*float64(pairs[j])/(S*(S-1))
	}
	return score
}

// Add scores successive positions of one block and adds them to an accumulator:
// samples [positions, S, K], targets [positions, K].
func (e *Estimator) Add(to *Accumulator, block int, samples, targets []int32) {
	if len(targets)%e.patch != 0 || len(samples) != len(targets)*e.samples {
		panic(fmt.Sprintf("brier: %d sampled and %d target ids are no positions of %d x %d and %[4]d",
			len(samples), len(targets), e.samples, e.patch))
	}
	for ; len(targets) > 0; targets = targets[e.patch:] {
		n := e.samples * e.patch
		to.Add(block, e.Score(samples[:n], targets[:e.patch]))
		samples = samples[n:]
	}
}

// prefix is an N-gram packed so that two comparisons order it. Any order will do
// that brings equal prefixes together.
type prefix struct{ first, second uint64 }

func pack(ids []int32) prefix {
	return prefix{
		uint64(uint32(ids[0]))<<32 | uint64(uint32(ids[1])),
		uint64(uint32(ids[2]))<<32 | uint64(uint32(ids[3])),
	}
}

// equal returns how many leading tokens two n-grams share.
func (a prefix) equal(b prefix) int {
	switch {
	case a == b:
		return 4
	case a.first != b.first:
		if a.first>>32 == b.first>>32 {
			return 1
		}
		return 0
	case a.second>>32 == b.second>>32:
		return 3
	}
	return 2
}

func comparePrefixes(a, b prefix) int {
	if c := cmp.Compare(a.first, b.first); c != 0 {
		return c
	}
	return cmp.Compare(a.second, b.second)
}

// countPairs sorts the prefixes and adds to pairs[n-1] the number of pairs that
// share their first n tokens. Sorting brings these together in runs: an element
// forms a pair with each earlier element of its run.
func countPairs(prefixes []prefix, pairs *[N]int) {
	slices.SortFunc(prefixes, comparePrefixes)
	var run [N]int
	for i := 1; i < len(prefixes); i++ {
		shared := prefixes[i].equal(prefixes[i-1])
		for j := range run {
			if j < shared {
				run[j]++
				pairs[j] += run[j]
			} else {
				run[j] = 0
			}
		}
	}
}
