package brier

import (
	"errors"
	"fmt"
)

// Unigram is the baseline whose tokens are independent draws, with their
// frequencies in the training text. Its scores are exact: the probability of an
// n-gram is a product, and the collision probability of two n-grams is the n-th
// power of that of two tokens.
type Unigram struct {
	p         []float64 // [V]
	collision [N]float64
}

// NewUnigram returns the baseline for counts [V] of the training text's tokens. It
// returns an error where a count is negative or all are 0.
func NewUnigram(counts []int64) (*Unigram, error) {
	total := 0.0
	for id, c := range counts {
		if c < 0 {
			return nil, fmt.Errorf("unigram baseline: token %d was counted %d times", id, c)
		}
		total += float64(c)
	}
	if total == 0 {
		return nil, errors.New("unigram baseline: no training tokens were counted")
	}
	u := &Unigram{p: make([]float64, len(counts))}
	for id, c := range counts {
		u.p[id] = float64(c) / total
	}
	c, power := Collision(u.p), 1.0
	for j := range u.collision {
		power *= c
		u.collision[j] = power
	}
	return u, nil
}

// Score returns the exact score, in [-1, 1], of a target's first N tokens. Ids
// outside the counts have probability 0.
func (u *Unigram) Score(target []int32) Score {
	var s Score
	p := 1.0
	for j := range s {
		p *= u.probability(target[j])
		s[j] = 2*p - u.collision[j]
	}
	return s
}

func (u *Unigram) probability(id int32) float64 {
	if id < 0 || int(id) >= len(u.p) {
		return 0
	}
	return u.p[id]
}
