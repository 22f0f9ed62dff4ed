// Package temperature samples from a model at a temperature T below 1 where all
// it can do is draw (CALM paper, section 5; SPEC section 5). With logits one
// would divide them by T; a model that predicts patches through a latent vector
// has none, but powers of a probability can be had from samples alone: n
// independent draws are all equal to x with probability P(x)^n.
//
//   - Exact is the paper's Algorithm 1: rejection, for any T in (0, 1], its
//     result distributed exactly as P(x)^(1/T) / sum of P^(1/T). The number of
//     draws is random, so it has a budget.
//   - Batch is Algorithm 2: one pool of N draws for T = 1/n, biased towards
//     T = 1 for finite N.
//
// Nothing here knows a network or a token: a patch is K numbers that are equal
// to another patch's or not.
//
// # Randomness
//
// There are two independent sources, both given by the caller. The patches come
// from a Draw, the sampler's own decisions from a function uniform that returns
// numbers in [0, 1). A sampler consumes both in a fixed order, one at a time, so
// a result follows from the two streams and does not depend on how many patches
// a network finds convenient to draw at once.
package temperature

import (
	"fmt"
	"math"
)

// Draw returns patches of one position from its endless sequence of independent
// draws from the model: number first, first+1, and so on, flat [m, K]. It returns
// at least one, and want is how many will do for now; it may return fewer or more
// (networks like fixed sizes). Within a position, samplers ask for number 0 first
// and continue each time where the last answer ended.
//
// For results that do not depend on sizes, let the noise of a draw be a function
// of seed, position and the draw's number (a counter-based generator), never of
// how often Draw was called. Patches that a sampler leaves unused are dropped:
// they are draws from one position's distribution and of no use at the next.
//
// The slice may be reused by the next call. An error ends the sampling and is
// returned as it is.
type Draw func(first, want int) ([]int32, error)

// RangeError says that a sampler cannot work at a temperature: the caller's
// input is at fault.
type RangeError struct {
	T      float64
	Reason string
}

// Error names the temperature and the reason.
func (e *RangeError) Error() string {
	return fmt.Sprintf("temperature %v: %s", e.T, e.Reason)
}

// tolerance is how far n T may be from 1 for T to mean 1/n. It covers rounding
// (1/3 and .1 are no binary fractions), float32 and six typed digits; the error
// it makes in the exponent is of the same size.
const tolerance = 2e-6

// split returns 1/T as n + a with an integer n >= 1 and a in [0, 1).
func split(T float64) (n int, a float64, err error) {
	const most = 1 << 30
	switch {
	case math.IsNaN(T) || T < 0 || T > 1:
		return 0, 0, &RangeError{T, "must be in (0, 1]"}
	case T == 0:
		return 0, 0, &RangeError{T, "must be above 0: the most likely patch cannot be had from samples alone"}
	case T < 1./most:
		return 0, 0, &RangeError{T, "is too small: 1/T equal draws would be needed"}
	}
	inverse := 1 / T
	if whole := math.Round(inverse); math.Abs(whole*T-1) <= tolerance {
		return int(whole), 0, nil
	}
	whole := math.Floor(inverse)
	return int(whole), inverse - whole, nil
}

// stream hands out the patches of one position one after another.
type stream struct {
	draw  Draw
	patch int     // K
	ready []int32 // drawn and not yet consumed
	used  int     // consumed so far: the number of the next patch
}

// next returns the next patch [K], valid until the following call; want is how
// many to ask for where none is ready.
func (s *stream) next(want int) ([]int32, error) {
	if len(s.ready) == 0 {
		ids, err := s.draw(s.used, want)
		if err != nil {
			return nil, err
		}
		if len(ids) == 0 || len(ids)%s.patch != 0 {
			panic(fmt.Sprintf("temperature: a draw gave %d ids, want patches of %d", len(ids), s.patch))
		}
		s.ready = ids
	}
	x := s.ready[:s.patch]
	s.ready = s.ready[s.patch:]
	s.used++
	return x, nil
}

func checkPatch(patch int) {
	if patch < 1 {
		panic(fmt.Sprintf("temperature: patches of %d tokens", patch))
	}
}
