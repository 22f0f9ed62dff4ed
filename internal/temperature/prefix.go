package temperature

import "slices"

// DefaultPrefixPool is the number of draws a patch of the prefix sampler if nobody says otherwise.
const DefaultPrefixPool = 64

// Prefix samples at any T in [0, 1], token by token, from one pool of N draws. It chooses the first token among the
// pool's first tokens by the weight of its count (see the package's comment), keeps the draws that begin with it, chooses
// the second token among theirs in the same way, and so on. As the pool grows the result tends to
//
//	prod_k P(x_k | x_<k)^(1/T) / sum_v P(v | x_<k)^(1/T),
//
// which is what temperature means in ordinary language models. For a finite pool it is biased towards T = 1. At T = 1 it
// is P for any pool.
//
// It asks for the first token of all draws, and for each later token only of the draws that share the chosen prefix: K
// calls a patch. After its first patches it does not allocate. It is not safe for concurrent use.
type Prefix struct {
	s     float64 // 1/T
	patch int
	pool  int

	alive   []int     // draws that begin with the tokens chosen so far
	tokens  []int32   // their next tokens
	sorted  []int32   // those that are not negative, sorted
	values  []int32   // the distinct ones
	counts  []int     // how many draws have each
	weights []float64 // of each
	shares  []float64 // see Shares
}

// NewPrefix returns a sampler of patches of that many tokens from pools of that many draws. A T outside [0, 1], or a pool
// of less than one draw, is a *RangeError. It panics if patch is not positive.
func NewPrefix(T float64, patch, pool int) (*Prefix, error) {
	s, err := pooled(T, patch, pool)
	if err != nil {
		return nil, err
	}
	return &Prefix{s: s, patch: patch, pool: pool}, nil
}

// Sample writes a patch into dst [K] and returns how many draws it looked at, which is the whole pool. It takes one
// uniform number a token. A draw that diverged is never chosen. Where all of them did, the error is a *DivergedError; what
// dst holds after an error means nothing.
func (p *Prefix) Sample(dst []int32, draws Draws, uniform func() float64) (int, error) {
	checkRoom(dst, p.patch)
	p.alive, p.shares = upTo(p.alive, p.pool), p.shares[:0]
	for k := range dst {
		p.tokens = resize(p.tokens, len(p.alive))
		if err := draws.Tokens(p.tokens, p.alive, k); err != nil {
			return p.pool, err
		}
		if !p.count() {
			return p.pool, &DivergedError{p.pool}
		}
		at := pick(p.weights, uniform())
		dst[k] = p.values[at]
		p.shares = append(p.shares, float64(p.counts[at])/float64(len(p.sorted)))
		p.keep(dst[k])
	}
	return p.pool, nil
}

// Shares returns, for each token of the patch sampled last, the share of the pool's draws that have it, among those that have the
// tokens before it and did not diverge. It changes with the next patch.
func (p *Prefix) Shares() []float64 { return p.shares }

// count lists the distinct tokens in ascending order with their counts and weights. It reports whether there is one.
func (p *Prefix) count() bool {
	p.sorted = p.sorted[:0]
	for _, v := range p.tokens {
		if v >= 0 {
			p.sorted = append(p.sorted, v)
		}
	}
	if len(p.sorted) == 0 {
		return false
	}
	slices.Sort(p.sorted)
	p.values, p.counts, p.weights = p.values[:0], p.counts[:0], p.weights[:0]
	for i, v := range p.sorted {
		if i == 0 || v != p.sorted[i-1] {
			p.values, p.counts = append(p.values, v), append(p.counts, 0)
		}
		p.counts[len(p.counts)-1]++
	}
	w := newWeigher(p.s, slices.Max(p.counts))
	for _, c := range p.counts {
		p.weights = append(p.weights, w.weight(c))
	}
	return true
}

// keep drops the draws that have another token than v.
func (p *Prefix) keep(v int32) {
	n := 0
	for i, token := range p.tokens {
		if token == v {
			p.alive[n] = p.alive[i]
			n++
		}
	}
	p.alive = p.alive[:n]
}
