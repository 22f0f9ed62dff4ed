package temperature

import (
	"math"
	"slices"
)

// DefaultPool is the number of draws a patch of the batch sampler if nobody says otherwise: the reference's.
const DefaultPool = 200

// Batch samples whole patches at any T in [0, 1] from one pool of N draws. It chooses among the pool's patches by the
// weight of their counts (see the package's comment). For T = 1/n that is Algorithm 2 of the paper: a patch that occurs c
// times has C(c, n) n-tuples of equal draws, and a tuple is chosen at random; where no patch occurs n times, smaller
// tuples are taken. As the pool grows the result tends to P^(1/T) / sum of P^(1/T). For a finite pool it is biased
// towards T = 1. At T = 1 it is P for any pool.
//
// It asks for the first token of all draws, and for later tokens only of draws whose prefix occurs often enough for the
// patch to have a weight. A prefix that one draw has alone needs no further token unless its draw is chosen. After its
// first patches it does not allocate. It is not safe for concurrent use.
type Batch struct {
	s     float64 // 1/T
	patch int     // K
	pool  int     // N

	order      []int   // draws; those of an open group are neighbours, ascending
	open, next []group // of draws with equal prefixes, whose patches are not known yet
	found      []Candidate
	tokens     []int32 // those asked for  [N, K]
	ask        []int   // draws of a call
	answer     []int32
	keys       []uint64
	weights    []float64
	shares     []float64 // see Shares
	alive      []int     // draws with the tokens of the patch chosen so far
}

// group is the draws order[from:to], which have their first tokens, as many as known, in common.
type group struct{ from, to, known int }

func (g group) size() int { return g.to - g.from }

// Candidate is a patch of a pool that can be chosen.
type Candidate struct {
	Draw   int     // number of the first draw that is this patch
	Count  int     // how many draws are
	Weight float64 // relative to that of the largest count, in (0, 1]

	known int // tokens of Draw that were asked for
}

// NewBatch returns a sampler of patches of that many tokens from pools of that many draws. A T outside [0, 1], or a pool
// of less than one draw, is a *RangeError. It panics if patch is not positive.
func NewBatch(T float64, patch, pool int) (*Batch, error) {
	s, err := pooled(T, patch, pool)
	if err != nil {
		return nil, err
	}
	return &Batch{s: s, patch: patch, pool: pool}, nil
}

// Sample writes a patch into dst [K] and returns how many draws it looked at, which is the whole pool. It takes one
// uniform number. A draw that diverged is never chosen. Where all of them did, the error is a *DivergedError; what dst
// holds after an error means nothing.
func (b *Batch) Sample(dst []int32, draws Draws, uniform func() float64) (int, error) {
	checkRoom(dst, b.patch)
	candidates, err := b.Candidates(draws)
	if err != nil {
		return b.pool, err
	}
	b.weights = b.weights[:0]
	for _, c := range candidates {
		b.weights = append(b.weights, c.Weight)
	}
	c := candidates[pick(b.weights, uniform())]
	for k := c.known; k < b.patch; k++ {
		b.ask = append(b.ask[:0], c.Draw)
		if err := b.fetch(draws, k); err != nil {
			return b.pool, err
		}
	}
	copy(dst, b.tokens[c.Draw*b.patch:])
	b.share(dst)
	return b.pool, nil
}

// Shares returns, for each token of the patch sampled last, the share of the pool's draws that have it, among those that have the
// tokens before it and did not diverge. It changes with the next patch.
func (b *Batch) Shares() []float64 { return b.shares }

// share sets the shares of a patch that was chosen. Of the draws that have its first tokens, either one is left, or all were
// asked for the next token.
func (b *Batch) share(patch []int32) {
	b.shares, b.alive = b.shares[:0], b.alive[:0]
	for draw := range b.pool {
		if b.tokens[draw*b.patch] >= 0 {
			b.alive = append(b.alive, draw)
		}
	}
	for k, v := range patch {
		before, n := len(b.alive), 0
		for _, draw := range b.alive {
			if before == 1 || b.tokens[draw*b.patch+k] == v {
				b.alive[n] = draw
				n++
			}
		}
		b.alive = b.alive[:n]
		b.shares = append(b.shares, float64(n)/float64(before))
	}
}

// Candidates returns the patches of a pool that have a weight, by first appearance in it. They are valid until the next
// call. Where all draws diverged, the error is a *DivergedError.
func (b *Batch) Candidates(draws Draws) ([]Candidate, error) {
	if err := b.search(draws); err != nil {
		return nil, err
	}
	if len(b.found) == 0 {
		return nil, &DivergedError{b.pool}
	}
	slices.SortFunc(b.found, func(x, y Candidate) int { return x.Draw - y.Draw })
	w, n := newWeigher(b.s, b.largest()), 0
	for _, c := range b.found {
		if c.Weight = w.weight(c.Count); c.Weight > 0 {
			b.found[n] = c
			n++
		}
	}
	b.found = b.found[:n]
	return b.found, nil
}

// search finds every patch that has a weight, and some that have none.
func (b *Batch) search(draws Draws) error {
	b.order = upTo(b.order, b.pool)
	b.tokens = resize(b.tokens, b.pool*b.patch)
	b.found, b.open = b.found[:0], append(b.open[:0], group{0, b.pool, 0})
	if err := b.extend(draws, 0, 1); err != nil {
		return err
	}
	// Counts of at least floor(s) have a weight. A group has no patch of a larger count than its own.
	least := int(min(b.s, math.MaxInt32))
	for {
		for k := 1; k < b.patch; k++ {
			if err := b.extend(draws, k, least); err != nil {
				return err
			}
		}
		largest, possible := b.largest(), 0
		for _, g := range b.open {
			possible = max(possible, g.size())
		}
		if largest >= least || possible == 0 {
			return nil
		}
		// No patch occurs often enough, so the largest count is what matters. It is that of a patch found already, or
		// lies in one of the largest groups. To take along groups half as large keeps calls few.
		least = max(largest, (possible+1)/2)
	}
}

// largest returns the largest count of the patches found.
func (b *Batch) largest() (largest int) {
	for _, c := range b.found {
		largest = max(largest, c.Count)
	}
	return largest
}

// extend asks for token k of the groups that know the k tokens before it and have at least so many draws, and splits the
// groups by it.
func (b *Batch) extend(draws Draws, k, least int) error {
	b.ask = b.ask[:0]
	for _, g := range b.open {
		if g.known == k && g.size() >= least {
			b.ask = append(b.ask, b.order[g.from:g.to]...)
		}
	}
	if len(b.ask) == 0 {
		return nil
	}
	slices.Sort(b.ask)
	if err := b.fetch(draws, k); err != nil {
		return err
	}
	b.next = b.next[:0]
	for _, g := range b.open {
		if g.known == k && g.size() >= least {
			b.split(g)
		} else {
			b.next = append(b.next, g)
		}
	}
	b.open, b.next = b.next, b.open
	return nil
}

// fetch gets token k of the draws in ask.
func (b *Batch) fetch(draws Draws, k int) error {
	b.answer = resize(b.answer, len(b.ask))
	if err := draws.Tokens(b.answer, b.ask, k); err != nil {
		return err
	}
	for i, draw := range b.ask {
		b.tokens[draw*b.patch+k] = b.answer[i]
	}
	return nil
}

// split replaces a group by one for each value of its next token, without draws that diverged. Where the patch is known
// then, or the draw is alone, that is a patch found.
func (b *Batch) split(g group) {
	b.keys = b.keys[:0]
	for _, draw := range b.order[g.from:g.to] {
		if v := b.tokens[draw*b.patch+g.known]; v >= 0 {
			b.keys = append(b.keys, uint64(v)<<32|uint64(draw))
		}
	}
	slices.Sort(b.keys)
	for i, first := 0, 0; i < len(b.keys); i++ {
		b.order[g.from+i] = int(uint32(b.keys[i]))
		if i+1 < len(b.keys) && b.keys[i+1]>>32 == b.keys[i]>>32 {
			continue
		}
		part := group{g.from + first, g.from + i + 1, g.known + 1}
		if first = i + 1; part.size() == 1 || part.known == b.patch {
			b.found = append(b.found, Candidate{Draw: b.order[part.from], Count: part.size(), known: part.known})
		} else {
			b.next = append(b.next, part)
		}
	}
}
