package temperature

import (
	"fmt"
	"slices"
)

// DefaultBudget is how many draws a patch may take if nobody says otherwise.
const DefaultBudget = 10_000

// mostAtOnce bounds how many draws Exact asks for in one call.
const mostAtOnce = 256

// BudgetError says that no patch was accepted within the budget of draws. The
// model is too uncertain for so low a temperature.
type BudgetError struct {
	T     float64
	Draws int // all of the budget
}

// Error says after how many draws at which temperature, and what to do.
func (e *BudgetError) Error() string {
	return fmt.Sprintf("no patch was accepted in %d draws at temperature %v: allow more draws, raise the temperature, or use the batch sampler",
		e.Draws, e.T)
}

// Exact samples at any temperature in (0, 1] without bias (Algorithm 1). With
// 1/T = n + a it first draws n patches and starts again unless all are equal,
// which they are, to x, with probability P(x)^n; it then accepts x with
// probability P(x)^a by a Bernoulli factory that stops at the first draw equal to
// x and gives up before with probability a/i after the i-th that is not. At
// T = 1 it returns the first draw.
//
// An Exact has no state: it may serve several goroutines.
type Exact struct {
	t      float64
	n      int
	a      float64
	patch  int
	budget int
}

// NewExact returns a sampler of patches of that many tokens. A T outside (0, 1],
// or one that takes more equal draws than the budget allows, is a *RangeError.
// It panics if patch is not positive.
func NewExact(T float64, patch, budget int) (*Exact, error) {
	checkPatch(patch)
	n, a, err := split(T)
	if err != nil {
		return nil, err
	}
	e := &Exact{t: T, n: n, a: a, patch: patch, budget: budget}
	if least := e.least(); budget < least {
		return nil, &RangeError{T, fmt.Sprintf("takes at least %d draws a patch, and %d are allowed", least, budget)}
	}
	return e, nil
}

// least returns how many draws acceptance takes at best.
func (e *Exact) least() int {
	if e.a > 0 {
		return e.n + 1
	}
	return e.n
}

// Sample writes a patch into dst [K] and returns how many draws it took: those
// that the algorithm looked at, however many were made. It leaves the first of
// the n draws that differs at once, without drawing the rest. Past the budget it
// returns a *BudgetError, and what dst then holds means nothing.
func (e *Exact) Sample(dst []int32, draw Draw, uniform func() float64) (draws int, err error) {
	if len(dst) != e.patch {
		panic(fmt.Sprintf("temperature: room for %d ids, want %d", len(dst), e.patch))
	}
	s := stream{draw: draw, patch: e.patch}
	for {
		equal, err := e.propose(dst, &s)
		if err != nil {
			return s.used, err
		}
		if !equal {
			continue
		}
		accepted, err := e.accept(dst, &s, uniform)
		if accepted || err != nil {
			return s.used, err
		}
	}
}

// propose draws a candidate and n-1 more, and reports whether all are equal.
func (e *Exact) propose(candidate []int32, s *stream) (bool, error) {
	for i := range e.n {
		x, err := e.next(s)
		if err != nil {
			return false, err
		}
		if i == 0 {
			copy(candidate, x)
		} else if !slices.Equal(candidate, x) {
			return false, nil
		}
	}
	return true, nil
}

// accept reports true with probability P(candidate)^a.
func (e *Exact) accept(candidate []int32, s *stream, uniform func() float64) (bool, error) {
	if e.a == 0 {
		return true, nil
	}
	for i := 1; ; i++ {
		x, err := e.next(s)
		if err != nil {
			return false, err
		}
		if slices.Equal(candidate, x) {
			return true, nil
		}
		if uniform() < e.a/float64(i) {
			return false, nil
		}
	}
}

// next consumes a draw if the budget has one left. It first asks for what an
// immediate acceptance takes, and then for as many again as were consumed, so at
// most half of the draws are wasted.
func (e *Exact) next(s *stream) ([]int32, error) {
	left := e.budget - s.used
	if left == 0 {
		return nil, &BudgetError{T: e.t, Draws: e.budget}
	}
	want := max(s.used, e.least())
	return s.next(min(want, mostAtOnce, left))
}
