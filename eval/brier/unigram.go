package brier

import (
	"errors"
	"fmt"
)

// Unigram is the baseline that knows how often each token occurs and nothing
// else: tokens are independent draws from the training counts. Its scores are
// exact, since the probability of an n-gram is a product and two n-grams collide
// with the n-th power of the probability that two tokens do.
type Unigram struct {
	p         []float64 // [V]
	collision [N]float64
}

// NewUnigram returns the baseline for the counts of training tokens [V].
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

// Score returns the exact score on a target's first N tokens. Ids that were
// never counted, those outside the counts included, have probability 0.
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
