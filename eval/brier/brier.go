// Package brier measures language models from samples alone, by the BrierLM
// score of the CALM paper (section 4; SPEC section 4).
//
// A model that predicts whole patches through a latent vector has no
// likelihood, hence no perplexity; all one can do is to draw from it. The
// Brier score of a distribution P on an outcome y,
//
//	Brier(P, y) = 2 P(y) - sum over x of P(x)^2,
//
// is strictly proper (only the true distribution maximises its expectation)
// and needs nothing but draws: P(y) is how often a draw equals y, and the sum
// is how often two independent draws are equal. Brier-n is the score of the
// n-gram formed by the first n tokens, and
//
//	BrierLM = 100 * (Brier-1 * Brier-2 * Brier-3 * Brier-4)^(1/4),
//
// the mean over all positions of each Brier-n being taken before the product.
//
// A Score holds the four values of one position. Scores come from an Estimator
// (samples of a patch), from Continued (of shorter patches), from Autoregressive
// (a token model), from a Unigram or from Uniform; an Accumulator averages them
// and gives a Result, which is in percent as every figure that calm prints.
package brier

import "math"

// N is the length of the longest n-gram that enters BrierLM.
const N = 4

// Score holds Brier-1 to Brier-N of one position, or their mean over many.
// Its unit is the paper's before the factor of 100: a perfect model has 1, the
// worst, always repeating one wrong answer, -1. What is known exactly, what is
// expected and what an Estimator gives is in that range; the estimates of
// Continued and Autoregressive, and means of few of them, reach up to 2.
type Score [N]float64

// LM returns the geometric mean of the four scores times 100, and whether it
// can be measured at all: as soon as one of them is not positive the geometric
// mean means nothing, and LM returns 0 and false. (An estimate may be negative
// by chance where the expectation is slightly above 0, and in earnest where a
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

// Collision returns the probability that two independent draws from p are
// equal: the sum of p^2.
func Collision[F float32 | float64](p []F) float64 {
	sum := 0.0
	for _, v := range p {
		sum += float64(v) * float64(v)
	}
	return sum
}

// Autoregressive returns the score of a token-level model at one position, as
// the reference takes it (SPEC section 4): what is known exactly is not sampled.
//
//   - likelihood[j] is the probability of the j-th target token given the true
//     tokens before it, so that P(y) of an n-gram is a product.
//   - collision[j] is Collision of the model's j-th next-token distribution,
//     given the first j tokens that were sampled.
//   - agree is how many leading tokens of a second, independent sample equal
//     those of the first; both continue the first one's tokens, so collision[j]
//     is only looked at for j <= agree.
//
// The n-gram's collision probability is estimated by that of its last token
// where the first n-1 agree, by 0 elsewhere, which is unbiased. So the result is in
// [-1, 2].
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

// Continued returns the score of a patch model at one position whose patches have fewer than N tokens, from two samples
// that further patches continue (SPEC section 4). It is unbiased, like Autoregressive, and in [-1, 2]:
// the samples may both be right and, further patches being drawn anew, not be equal.
//
//   - right[s] is how many leading tokens of the target sample s gets right, each of its patches being drawn behind the
//     true ones before it.
//   - agree is how many leading tokens of the two samples are equal, further patches of both being drawn behind the
//     first one's path.
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

// Uniform returns the score of a model that gives each of vocab tokens the same
// probability whatever came before: Brier-n = vocab^-n on every target, hence
// BrierLM = 100 vocab^-2.5. It panics if vocab is not positive.
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
