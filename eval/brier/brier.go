// Package brier measures language models from samples alone, by the BrierLM
// score of the CALM paper (docs/spec.md, section 4).
//
// A model that predicts whole patches through a latent vector has no
// likelihood, and so no perplexity. It can only be sampled. The Brier score of
// a distribution P on an outcome y,
//
//	Brier(P, y) = 2 P(y) - sum over x of P(x)^2,
//
// is strictly proper: only the true distribution maximises its expectation. It
// needs samples alone: P(y) is how often a sample equals y, and the sum is how
// often two independent samples are equal. Brier-n is the score of the n-gram
// formed by the first n tokens, and
//
//	BrierLM = 100 * (Brier-1 * Brier-2 * Brier-3 * Brier-4)^(1/4),
//
// where each Brier-n is first averaged over all positions.
//
// A Score holds the four values of one position. Scores come from an Estimator
// (samples of a patch), from Continued (samples of patches shorter than N),
// from Autoregressive (a token model), from a Unigram or from Uniform. An
// Accumulator averages them and gives a Result, in percent.
package brier

import "math"

// N is the length in tokens of the longest n-gram of BrierLM.
const N = 4

// Score holds Brier-1 to Brier-N of one position, or their mean over many.
// It is not in percent: a perfect model has 1; the worst, which always gives the
// same wrong answer, has -1. Exact scores, expectations and the estimates of an
// Estimator are in [-1, 1]; the estimates of Continued and Autoregressive are in
// [-1, 2].
type Score [N]float64

// LM returns the geometric mean of the four scores in percent, and whether it is
// measurable. Where one of the scores is not positive, the geometric mean means
// nothing, and LM returns 0 and false. (An estimate may be negative by chance,
// where its expectation is slightly above 0. An expectation is negative where a
// model repeats itself more often than it is right.)
func (s Score) LM() (percent float64, measurable bool) {
	product := 1.0
	for _, b := range s {
		if !(b > 0) {
			return 0, false
		}
		product *= b
	}
	return 100 * math.Pow(product, 1./N), true
}

// Collision returns the probability that two independent draws from p [V] are
// equal: the sum of p^2.
func Collision[F float32 | float64](p []F) float64 {
	sum := 0.0
	for _, v := range p {
		sum += float64(v) * float64(v)
	}
	return sum
}

// Autoregressive returns the score of a token-level model at one position. As in
// the reference (docs/spec.md, section 4), exact probabilities are used where
// they are known.
//
//   - likelihood[j] is the probability of the j-th target token given the true
//     tokens before it. P(y) of an n-gram is a product of them.
//   - collision[j] is Collision of the model's j-th next-token distribution,
//     given the first j tokens of the first sample.
//   - agree is how many leading tokens of two samples are equal. Each token of
//     both is drawn after the first sample's tokens. collision[j] is used only
//     for j <= agree.
//
// The collision probability of an n-gram is estimated by that of its last token
// where the first n-1 tokens agree, else by 0. The estimate is unbiased. The
// result is in [-1, 2].
func Autoregressive(likelihood, collision [N]float64, agree int) Score {
	var s Score
	p := 1.0
	for j := range s {
		p *= likelihood[j]
		s[j] = 2 * p
		if j <= agree {
			s[j] -= collision[j]
		}
	}
	return s
}

// Continued returns the score of a model with patches of fewer than N tokens at one position, from two samples that further
// patches continue (docs/spec.md, section 4). The estimate is unbiased and in [-1, 2].
//
//   - right[s] is how many leading tokens of the target sample s gets right. Each of its patches is drawn after the true
//     patches before it.
//   - agree is how many leading tokens of the two samples are equal. Further patches of both are drawn after the patches of
//     the first sample.
//
// The two use different further patches. So both samples may be right and yet not equal.
func Continued(right [2]int, agree int) Score {
	var s Score
	for j := range s {
		for _, r := range right {
			if j < r {
				s[j]++
			}
		}
		if j < agree {
			s[j]--
		}
	}
	return s
}

// Uniform returns the score of the model that gives each of vocab tokens the same
// probability: Brier-n = vocab^-n on every target, so BrierLM = 100 vocab^-2.5.
// It panics if vocab is not positive.
func Uniform(vocab int) Score {
	if vocab < 1 {
		panic("brier: a uniform model needs at least one token")
	}
	var s Score
	p := 1.0
	for j := range s {
		p /= float64(vocab)
		s[j] = p
	}
	return s
}
