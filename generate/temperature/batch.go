package temperature

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
)

// DefaultPool is the reference's number of draws a patch.
const DefaultPool = 200

// Batch samples at T = 1/n from one pool of draws (Algorithm 2): a patch that
// occurs c times in the pool has C(c, n) n-tuples of equal draws, and a tuple is
// chosen at random. Where no patch occurs n times it settles for fewer. The
// result tends to P^n / sum of P^n as the pool grows and is biased towards P for
// any finite one.
//
// A Batch has no state: it may serve several goroutines.
type Batch struct {
	n     int
	patch int
	pool  int
}

// NewBatch returns a sampler of patches of that many tokens with that many draws
// each. A T that is not 1/n for an integer n, or an n above the pool, is a
// *RangeError. It panics if patch is not positive.
func NewBatch(T float64, patch, pool int) (*Batch, error) {
	checkPatch(patch)
	n, a, err := split(T)
	if err != nil {
		return nil, err
	}
	if a != 0 {
		return nil, &RangeError{T, fmt.Sprintf(
			"the batch sampler needs 1/n for a whole n, such as 1/%d = %.6g or 1/%d = %.6g; the exact sampler takes any",
			n, 1/float64(n), n+1, 1/float64(n+1))}
	}
	if pool < n {
		return nil, &RangeError{T, fmt.Sprintf("takes a pool of at least %d draws, and %d are allowed", n, pool)}
	}
	return &Batch{n: n, patch: patch, pool: pool}, nil
}

// Sample writes a patch into dst [K]. It always uses the whole pool of draws,
// and one uniform number.
func (b *Batch) Sample(dst []int32, draw Draw, uniform func() float64) error {
	if len(dst) != b.patch {
		panic(fmt.Sprintf("temperature: room for %d ids, want %d", len(dst), b.patch))
	}
	s := stream{draw: draw, patch: b.patch}
	pool := make([]int32, 0, b.pool*b.patch)
	for s.used < b.pool {
		x, err := s.next(b.pool - s.used)
		if err != nil {
			return err
		}
		pool = append(pool, x...)
	}
	c := NewCandidates(pool, b.patch, b.n)
	copy(dst, c.Patch(c.Choose(uniform())))
	return nil
}

// Candidates are the patches of a pool that Algorithm 2 chooses from.
type Candidates struct {
	M      int   // the size of the tuples: the largest m <= n that some patch reaches
	Counts []int // how often each occurs in the pool, at least M  [C]

	patches []int32 // distinct, by first appearance in the pool  [C, K]
	patch   int     // K
}

// NewCandidates counts the patches of a pool [N, K]. The cascade m = n, n-1, .. 1
// ends at the first m for which some patch occurs at least m times; the patches
// that do are the candidates. It panics if the pool is empty, not whole patches,
// or n is not positive.
func NewCandidates(pool []int32, patch, n int) *Candidates {
	checkPatch(patch)
	if len(pool) == 0 || len(pool)%patch != 0 || n < 1 {
		panic(fmt.Sprintf("temperature: a pool of %d ids in patches of %d, tuples of %d", len(pool), patch, n))
	}
	groups := group(pool, patch)
	most := slices.MaxFunc(groups, func(a, b counted) int { return a.count - b.count })
	c := &Candidates{M: min(n, most.count), patch: patch}
	for _, g := range groups {
		if g.count >= c.M {
			c.Counts = append(c.Counts, g.count)
			c.patches = append(c.patches, pool[g.first*patch:(g.first+1)*patch]...)
		}
	}
	return c
}

// counted is a distinct patch: the number of its first draw, and of all.
type counted struct{ first, count int }

// group returns the distinct patches of a pool by first appearance. It sorts, so
// pools of any size take O(N log N).
func group(pool []int32, patch int) []counted {
	at := func(i int) []int32 { return pool[i*patch : (i+1)*patch] }
	order := make([]int, len(pool)/patch)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(slices.Compare(at(i), at(j)), i-j)
	})
	var groups []counted
	for k, i := range order {
		if k > 0 && slices.Equal(at(order[k-1]), at(i)) {
			groups[len(groups)-1].count++
		} else {
			groups = append(groups, counted{first: i, count: 1})
		}
	}
	slices.SortFunc(groups, func(a, b counted) int { return a.first - b.first })
	return groups
}

// Len returns the number of candidates, at least one.
func (c *Candidates) Len() int { return len(c.Counts) }

// Patch returns the i-th candidate [K], not a copy.
func (c *Candidates) Patch(i int) []int32 {
	return c.patches[i*c.patch : (i+1)*c.patch]
}

// Weight returns the number of M-tuples of equal draws of the i-th candidate,
// C(Counts[i], M). It passes int64 for pools of 200 (C(200, 100) has 59 digits).
func (c *Candidates) Weight(i int) *big.Int {
	return new(big.Int).Binomial(int64(c.Counts[i]), int64(c.M))
}

// Choose returns the candidate that a uniform number u in [0, 1) selects, with
// probability proportional to the weights. It counts in whole numbers: no weight
// is too large for it, and none is lost beside a large one.
func (c *Candidates) Choose(u float64) int {
	if !(u >= 0 && u < 1) {
		panic(fmt.Sprintf("temperature: %v is no uniform number in [0, 1)", u))
	}
	sums := make([]big.Int, c.Len()) // running sums of the weights
	var total big.Int
	for i := range sums {
		total.Add(&total, c.Weight(i))
		sums[i].Set(&total)
	}
	// The tuple that u selects is floor(u * total), u being a multiple of 2^-53
	// rounded down: then u < sums[i]/total means tuple < sums[i].
	const bits = 53
	tuple := big.NewInt(int64(math.Ldexp(u, bits)))
	tuple.Mul(tuple, &total).Rsh(tuple, bits)
	i := 0
	for sums[i].Cmp(tuple) <= 0 {
		i++
	}
	return i
}
