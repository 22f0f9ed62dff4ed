package temperature

import (
	"fmt"
	"math"
	"slices"
)

// DefaultBudget is how many draws a patch of the exact sampler may take if nobody says otherwise.
const DefaultBudget = 10_000

// maxAtOnce bounds how many new draws Exact asks for in one call. Where so many diverged and none did not, it gives up.
const maxAtOnce = 256

// BudgetError says that no patch was accepted within the budget of draws. The model is too uncertain for so low a
// temperature.
type BudgetError struct {
	T     float64
	Draws int // all of the budget
}

// Error says after how many draws at which temperature, and what to do.
func (e *BudgetError) Error() string {
	return fmt.Sprintf("no patch was accepted in %d draws at temperature %v: use the prefix or the batch sampler, raise the temperature, or allow more draws",
		e.Draws, e.T)
}

// Exact samples whole patches at any temperature in (0, 1] without bias (Algorithm 1 of the paper). With 1/T = n + a it
// first takes n draws and starts again unless all are equal, which they are, to x, with probability P(x)^n. It then
// accepts x with probability P(x)^a by a Bernoulli factory, which stops at the first draw equal to x, and gives up with
// probability a/i after the i-th that is not. At T = 1 it returns the first draw.
//
// It asks for the first tokens of a window of draws, which grows while nothing is accepted, and for later tokens only of
// draws that it compares and that are equal so far. Comparisons of several attempts are asked for together, as if those
// before them had failed, which most do. Its result and the number of draws it looks at are those of comparing whole
// patches one after another. It is not safe for concurrent use.
type Exact struct {
	t      float64
	n      int
	a      float64
	patch  int // K
	budget int

	// Of the patch being sampled:
	draws    Draws
	tokens   []int32 // [made, K]
	known    []int   // how many tokens of each draw made are known
	used     int     // draws looked at: the number of the next
	diverged int     // of them
	ask      []int   // draws of a call
	answer   []int32
}

// NewExact returns a sampler of patches of that many tokens. A T outside (0, 1], or one that takes more equal draws than
// the budget allows, is a *RangeError. It panics if patch is not positive.
func NewExact(T float64, patch, budget int) (*Exact, error) {
	checkPatch(patch)
	n, a, err := split(T)
	if err != nil {
		return nil, err
	}
	e := &Exact{t: T, n: n, a: a, patch: patch, budget: budget}
	if least := e.least(); budget < least {
		return nil, &RangeError{T, fmt.Sprintf("takes at least %d draws a patch with the exact sampler, and %d are allowed", least, budget)}
	}
	return e, nil
}

// split returns 1/T as n + a with an integer n >= 1 and a in [0, 1).
func split(T float64) (n int, a float64, err error) {
	s, err := exponent(T)
	switch {
	case err != nil:
		return 0, 0, &RangeError{T, "must be in (0, 1] for the exact sampler"}
	case T == 0:
		return 0, 0, &RangeError{T, "the exact sampler needs more than 0, since no number of draws shows for certain which patch is the most likely: use the prefix sampler"}
	case s > 1<<30:
		return 0, 0, &RangeError{T, "is too small for the exact sampler, which needs 1/T equal draws: use the prefix sampler"}
	}
	whole := math.Floor(s)
	return int(whole), s - whole, nil
}

// least returns how many draws acceptance takes at best.
func (e *Exact) least() int {
	if e.a > 0 {
		return e.n + 1
	}
	return e.n
}

// Sample writes a patch into dst [K] and returns how many draws it took: those that the algorithm looked at, however many
// were asked for. It starts again at the first of the n draws that differs, without the rest. It takes a uniform number
// for each draw of the Bernoulli factory that differs. A draw that diverged equals none and is never chosen. After the
// whole budget the error is a *BudgetError; where all draws so far diverged, 256 of them or the whole budget, it is a
// *DivergedError. What dst holds after an error means nothing.
func (e *Exact) Sample(dst []int32, draws Draws, uniform func() float64) (int, error) {
	checkRoom(dst, e.patch)
	e.draws, e.tokens, e.known, e.used, e.diverged = draws, e.tokens[:0], e.known[:0], 0, 0
	defer func() { e.draws = nil }()
	for {
		x, err := e.propose()
		if err != nil {
			return e.used, err
		}
		accepted, err := e.accept(x, uniform)
		if err != nil {
			return e.used, err
		}
		if accepted {
			return e.used, e.finish(dst, x)
		}
	}
}

// Shares returns nothing: there is no pool.
func (e *Exact) Shares() []float64 { return nil }

// propose looks at draws until n in a row are equal, and returns the first of these.
func (e *Exact) propose() (int, error) {
attempt:
	for {
		x, err := e.take()
		if err != nil {
			return 0, err
		}
		if e.isDiverged(x) {
			continue
		}
		for range e.n - 1 {
			j, err := e.take()
			if err != nil {
				return 0, err
			}
			equal, err := e.equal(x, j, e.planAttempts)
			if err != nil {
				return 0, err
			}
			if !equal {
				continue attempt
			}
		}
		return x, nil
	}
}

// accept reports true with probability P(x)^a.
func (e *Exact) accept(x int, uniform func() float64) (bool, error) {
	if e.a == 0 {
		return true, nil
	}
	for i := 1; ; i++ {
		j, err := e.take()
		if err != nil {
			return false, err
		}
		equal, err := e.equal(x, j, e.planAcceptance)
		if equal || err != nil {
			return equal, err
		}
		if uniform() < e.a/float64(i) {
			return false, nil
		}
	}
}

// finish copies draw x to dst, with those of its tokens that no comparison needed.
func (e *Exact) finish(dst []int32, x int) error {
	for k := e.known[x]; k < e.patch; k++ {
		e.ask = append(e.ask[:0], x)
		if err := e.fetch(k); err != nil {
			return err
		}
	}
	copy(dst, e.tokens[x*e.patch:])
	return nil
}

// take looks at the next draw, if the budget has one left, and returns its number. It first asks for what an immediate
// acceptance takes, and then for as many again as were looked at, so at most half of the draws are wasted.
func (e *Exact) take() (int, error) {
	switch {
	case e.used > 0 && e.diverged == e.used && (e.used == e.budget || e.used >= maxAtOnce):
		return 0, &DivergedError{e.used}
	case e.used == e.budget:
		return 0, &BudgetError{T: e.t, Draws: e.budget}
	case e.used == len(e.known):
		if err := e.more(min(max(e.used, e.least()), maxAtOnce, e.budget-e.used)); err != nil {
			return 0, err
		}
	}
	x := e.used
	e.used++
	if e.isDiverged(x) {
		e.diverged++
	}
	return x, nil
}

// more asks for the first tokens of n more draws.
func (e *Exact) more(n int) error {
	e.ask = e.ask[:0]
	for range n {
		e.ask = append(e.ask, len(e.known))
		e.known = append(e.known, 0)
	}
	e.tokens = slices.Grow(e.tokens, n*e.patch)[:len(e.known)*e.patch]
	return e.fetch(0)
}

// fetch gets token k of the draws in ask, which know the k tokens before it.
func (e *Exact) fetch(k int) error {
	e.answer = resize(e.answer, len(e.ask))
	if err := e.draws.Tokens(e.answer, e.ask, k); err != nil {
		return err
	}
	for i, draw := range e.ask {
		e.tokens[draw*e.patch+k] = e.answer[i]
		e.known[draw] = k + 1
	}
	return nil
}

func (e *Exact) isDiverged(x int) bool { return e.tokens[x*e.patch] < 0 }

// agree returns how many leading tokens of two draws are known and equal, and whether the next ones are known to differ.
// The first draw did not diverge.
func (e *Exact) agree(x, j int) (k int, differ bool) {
	for known := min(e.known[x], e.known[j]); k < known; k++ {
		if e.tokens[x*e.patch+k] != e.tokens[j*e.patch+k] {
			return k, true
		}
	}
	return k, false
}

// equal compares two draws. For a token that is missing it asks together with those that plan names.
func (e *Exact) equal(x, j int, plan func(x, j, k int)) (bool, error) {
	for {
		k, differ := e.agree(x, j)
		if differ || k == e.patch {
			return !differ, nil
		}
		e.ask = e.ask[:0]
		plan(x, j, k)
		slices.Sort(e.ask)
		e.ask = slices.Compact(e.ask)
		if err := e.fetch(k); err != nil {
			return false, err
		}
	}
}

// planAttempts names the draws whose token k settles the comparison of x with j in an attempt, and those that the
// attempts after it would then compare if all of them, this one included, failed at the first open comparison.
func (e *Exact) planAttempts(x, j, k int) {
	e.planAgreeing(x, j, x+e.least(), k)
	for i := e.used; i < len(e.known); {
		if e.isDiverged(i) {
			i++
			continue
		}
		at, differ, m := e.patch, false, i
		for at == e.patch && !differ && m+1 < min(i+e.n, len(e.known)) {
			m++
			at, differ = e.agree(i, m)
		}
		if at == e.patch && !differ {
			return // equal as far as one can see
		}
		if at == k && !differ {
			e.planAgreeing(i, m, i+e.least(), k)
		}
		i = m + 1
	}
}

// planAcceptance names the draws whose token k settles whether x is accepted, as far as draws are at hand.
func (e *Exact) planAcceptance(x, j, k int) {
	for m := j; m < len(e.known); m++ {
		e.planAgreeing(x, m, m+1, k)
	}
}

// planAgreeing names x and those of the draws from j to before end, up to the first that does not, which agree with x in
// k tokens and lack the next.
func (e *Exact) planAgreeing(x, j, end, k int) {
	for m := j; m < min(end, len(e.known)); m++ {
		if at, differ := e.agree(x, m); differ || at != k {
			return
		}
		for _, draw := range []int{x, m} {
			if e.known[draw] == k {
				e.ask = append(e.ask, draw)
			}
		}
	}
}
