// Package temperature samples patches at a temperature T below 1 from a model that can only draw (CALM paper, section 5;
// docs/spec.md, section 5). A model with logits divides them by T. A model that predicts a patch of K tokens through a
// latent vector has no logits, but powers of a probability follow from draws alone: n independent draws are all equal to
// x with probability P(x)^n.
//
// There are three samplers. With s = 1/T:
//
//   - [Prefix] applies T token by token, as ordinary language models do. Its pool of N draws approximates
//     prod_k P(x_k | x_<k)^s / sum_v P(v | x_<k)^s. It takes any T in [0, 1].
//   - [Batch] applies T to whole patches: Algorithm 2 of the paper. Its pool of N draws approximates P(x)^s / sum P^s.
//     It takes any T in [0, 1].
//   - [Exact] applies T to whole patches: Algorithm 1 of the paper, by rejection. Its result is distributed exactly as
//     P(x)^s / sum P^s. It takes any T in (0, 1]. The number of draws is random, so it has a budget.
//
// For K = 1 all three aim at the same distribution. For larger K they differ: P = (.6, .4) for the first token, followed
// by one certain token or by two equally likely ones, gives the first tokens at T = 1/2 the odds .36 : .16 token by
// token, and .36 : .08 by whole patches.
//
// A finite pool biases the result towards T = 1. The bias falls as N grows.
//
// Nothing here knows a network or a text. A patch is K numbers.
//
// # Weights
//
// Where a pool has c draws of an outcome (a token after a prefix, or a patch), the outcome is chosen with a weight
// proportional to the falling factorial
//
//	w(c) = c! / Gamma(c + 1 - s)   if c > s - 1, else 0.
//
// For T = 1 the weight is c. For s = n it is proportional to C(c, n), the number of n-tuples of equal draws, which is
// Algorithm 2. It is continuous in T. Where no count reaches s, s is cut to the largest count, so the largest counts
// alone have a weight; Algorithm 2 does the same in whole steps. T = 0 always chooses a largest count; where several are
// equally large, the uniform number decides.
//
// # Randomness
//
// There are two independent sources, both given by the caller. Tokens come from [Draws]; the sampler's own decisions come
// from a function uniform that returns numbers in [0, 1). A sampler consumes both in a fixed order, so its result follows
// from the two sources alone, however many draws a network makes at once.
package temperature

import (
	"fmt"
	"math"
)

// Draws is an endless sequence of independent draws of one patch of K tokens from a model, numbered from 0.
//
// Tokens writes token number k (0 to K-1) of each of the draws that are named by number to dst, which has the same
// length. Token k of draw i must be a function of i and k alone: let the noise of a draw follow from seed, position and
// the draw's number (a counter-based generator), never from how often or in which order tokens are asked for. The token
// of a draw that diverged is negative, for every k.
//
// Samplers make few calls with many draws each. Within a call draws are distinct and ascending. They ask for token 0 of
// draws 0, 1, 2, ... without a gap, for token k of a draw after its tokens below k, and for no token twice. They ask for
// later tokens only of the draws that matter. So an implementation may make draws when their token 0 is asked for, and
// keep what it needs for later tokens; it may compute more than it was asked for and keep that too.
//
// An error ends the sampling and is returned as it is.
type Draws interface {
	Tokens(dst []int32, draws []int, k int) error
}

// RangeError says that a sampler cannot work with the caller's temperature, or with its number of draws at that
// temperature.
type RangeError struct {
	T      float64
	Reason string
}

// Error names the temperature and the reason.
func (e *RangeError) Error() string {
	return fmt.Sprintf("temperature %v: %s", e.T, e.Reason)
}

// DivergedError says that a patch cannot be chosen because every draw that the sampler looked at diverged.
type DivergedError struct {
	Draws int // looked at
}

// Error says how many draws diverged.
func (e *DivergedError) Error() string {
	return fmt.Sprintf("all %d draws of the patch diverged: the model's weights or settings are no good for sampling", e.Draws)
}

// tolerance is how far n T may be from 1 for T to mean 1/n. It covers rounding (1/3 and .1 are no binary fractions),
// float32 and six typed digits. The error it makes in the exponent is of the same size.
const tolerance = 2e-6

// exponent returns s = 1/T, whole where T means 1/n, +Inf for T = 0. A T outside [0, 1] is a *RangeError.
func exponent(T float64) (float64, error) {
	if !(T >= 0 && T <= 1) {
		return 0, &RangeError{T, "must be in [0, 1]"}
	}
	s := 1 / math.Abs(T) // of -0 too
	if whole := math.Round(s); math.Abs(whole*T-1) <= tolerance {
		return whole, nil
	}
	return s, nil
}

// pooled returns exponent(T) for a sampler of patches of that many tokens from pools of that many draws. A pool that no
// sampler can use is a *RangeError too. It panics if patch is not positive.
func pooled(T float64, patch, pool int) (s float64, err error) {
	checkPatch(patch)
	const limit = 1 << 30
	if s, err = exponent(T); err == nil && (pool < 1 || pool > limit) {
		err = &RangeError{T, fmt.Sprintf("takes a pool of 1 to %d draws, and %d are given", limit, pool)}
	}
	return s, err
}

func checkPatch(patch int) {
	if patch < 1 {
		panic(fmt.Sprintf("temperature: patches of %d tokens", patch))
	}
}

func checkRoom(dst []int32, patch int) {
	if len(dst) != patch {
		panic(fmt.Sprintf("temperature: room for %d tokens, want %d", len(dst), patch))
	}
}

// upTo returns the numbers 0 to n-1 in a slice's memory, if it has enough.
func upTo(s []int, n int) []int {
	s = resize(s, n)
	for i := range s {
		s[i] = i
	}
	return s
}

// resize returns a slice of n elements in the same memory, if it has enough. What they hold means nothing.
func resize[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}
