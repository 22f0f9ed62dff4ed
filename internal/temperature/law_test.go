package temperature

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// law is a distribution of patches.
type law struct {
	patches [][]int32 // [M, K]
	p       []float64 // [M]
}

// laws are small distributions of K = 1 to 3 tokens, for which tokens and whole patches give different results.
var laws = map[string]law{
	"six symbols": {[][]int32{{0}, {1}, {2}, {3}, {4}, {5}}, example},
	"K=2":         {[][]int32{{3, 0}, {1, 0}, {1, 1}, {1, 2}, {2, 9}}, []float64{.3, .2, .2, .2, .1}},
	"K=3":         {[][]int32{{0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, 1, 1}, {1, 5, 5}}, []float64{.1, .2, .1, .15, .45}},
}

// pool draws N patches.
func (l law) pool(rng *rand.Rand, N int) []int32 {
	ids := make([]int32, 0, N*len(l.patches[0]))
	for range N {
		ids = append(ids, l.patches[symbol(rng, l.p)]...)
	}
	return ids
}

// index returns which of the law's patches it is.
func (l law) index(t testing.TB, patch []int32) int {
	i := slices.IndexFunc(l.patches, func(x []int32) bool { return slices.Equal(x, patch) })
	if i < 0 {
		t.Fatalf("%v was never drawn", patch)
	}
	return i
}

// byToken returns prod_k P(x_k | x_<k)^(1/T), normalised at each k.
func (l law) byToken(T float64) []float64 {
	out := make([]float64, len(l.p))
	for i := range out {
		out[i] = 1
	}
	for k := range l.patches[0] {
		for i, x := range l.patches {
			next := map[int32]float64{} // P of the prefix before k, by token k
			for j, y := range l.patches {
				if slices.Equal(x[:k], y[:k]) {
					next[y[k]] += l.p[j]
				}
			}
			sum := 0.
			for _, q := range next {
				sum += math.Pow(q, 1/T)
			}
			out[i] *= math.Pow(next[x[k]], 1/T) / sum
		}
	}
	return out
}

// weighed is the definition of a choice by counts: probabilities proportional to the weights, with s cut to the largest.
func weighed(counts []int, s float64) []float64 {
	p, sum := make([]float64, len(counts)), 0.
	s = min(s, float64(slices.Max(counts)))
	for i, c := range counts {
		if c > 0 {
			p[i] = fallingWeight(c, s)
			sum += p[i]
		}
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// prefixOf is the definition of the prefix sampler for a pool: the probability of each patch. counts are of the law's
// patches.
func (l law) prefixOf(counts []int, s float64) []float64 {
	out := make([]float64, len(counts))
	for i, x := range l.patches {
		if counts[i] == 0 {
			continue
		}
		out[i] = 1
		for k := range x {
			var tokens []int32
			var c []int
			for j, y := range l.patches {
				if counts[j] == 0 || !slices.Equal(x[:k], y[:k]) {
					continue
				}
				at := slices.Index(tokens, y[k])
				if at < 0 {
					at, tokens, c = len(tokens), append(tokens, y[k]), append(c, 0)
				}
				c[at] += counts[j]
			}
			out[i] *= weighed(c, s)[slices.Index(tokens, x[k])]
		}
	}
	return out
}

// overPools is the exact expectation of a sampler's result over all pools of N draws: of, for every vector of counts, by
// the multinomial probability of that vector.
func (l law) overPools(N int, of func(counts []int) []float64) []float64 {
	out, counts := make([]float64, len(l.p)), make([]int, len(l.p))
	factorial := func(n int) float64 { return math.Gamma(float64(n) + 1) }
	var visit func(i, left int, probability float64)
	visit = func(i, left int, probability float64) {
		if i == len(l.p)-1 {
			counts[i] = left
			probability *= math.Pow(l.p[i], float64(left)) / factorial(left)
			for j, q := range of(counts) {
				out[j] += probability * q
			}
			return
		}
		for c := range left + 1 {
			counts[i] = c
			visit(i+1, left-c, probability*math.Pow(l.p[i], float64(c))/factorial(c))
		}
	}
	visit(0, N, factorial(N))
	return out
}

// fromCounts is a pool with these counts, in an order that depends on them alone.
func (l law) fromCounts(counts []int) *Patches {
	var order []int
	for i, c := range counts {
		order = append(order, slices.Repeat([]int{i}, c)...)
	}
	rand.New(rand.NewPCG(1, uint64(len(order)))).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	p := &Patches{K: len(l.patches[0])}
	for _, i := range order {
		p.IDs = append(p.IDs, l.patches[i]...)
	}
	return p
}

// prefixRuns is what the prefix sampler makes of a pool: the probability of each patch, from the weights it goes by, along
// every path.
func (l law) prefixRuns(t testing.TB, p *Prefix, pool *Patches) []float64 {
	out, dst := make([]float64, len(l.p)), make([]int32, pool.K)
	for path := make([]int, pool.K); ; {
		probability, k, options := 1., 0, make([]int, pool.K)
		_, err := p.Sample(dst, pool, func() float64 {
			sum, before := 0., 0.
			for i, w := range p.weights {
				if sum += w; i < path[k] {
					before += w
				}
			}
			w := p.weights[path[k]]
			probability *= w / sum
			options[k] = len(p.weights)
			k++
			return min((before+w/2)/sum, 1-0x1p-53)
		})
		if err != nil {
			t.Fatal(err)
		}
		if probability > 0 {
			out[l.index(t, dst)] += probability
		}
		// The next path in order: a later choice first.
		for k = pool.K - 1; k >= 0 && path[k]+1 == options[k]; k-- {
			path[k] = 0
		}
		if k < 0 {
			return out
		}
		path[k]++
	}
}

// batchRuns is what the batch sampler makes of a pool.
func (l law) batchRuns(t testing.TB, b *Batch, pool *Patches) []float64 {
	candidates, err := b.Candidates(pool)
	if err != nil {
		t.Fatal(err)
	}
	out, sum := make([]float64, len(l.p)), 0.
	for _, c := range candidates {
		out[l.index(t, pool.IDs[c.Draw*pool.K:][:pool.K])] = c.Weight
		sum += c.Weight
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

var temperatures = []float64{1, .999, .9, .7, .5, .4, 1. / 3, .2, .01, 1e-9, 0}

// For every pool of a few draws the samplers' probabilities are those of the definition, at all temperatures; so are
// the expectations over all pools, and the frequencies of samples.
func TestLawOverAllPools(t *testing.T) {
	for name, l := range laws {
		for _, T := range temperatures {
			s, err := exponent(T)
			if err != nil {
				t.Fatal(err)
			}
			for _, N := range []int{1, 2, 5} {
				prefix := mustPrefix(t, T, len(l.patches[0]), N)
				batch := mustBatch(t, T, len(l.patches[0]), N)
				byPrefix := l.overPools(N, func(counts []int) []float64 {
					want := l.prefixOf(counts, s)
					if got := l.prefixRuns(t, prefix, l.fromCounts(counts)); totalVariation(got, want) > 1e-12 {
						t.Fatalf("%s: prefix at T = %v, pool %v: %v, want %v", name, T, counts, got, want)
					}
					return want
				})
				byBatch := l.overPools(N, func(counts []int) []float64 {
					want := weighed(counts, s)
					if got := l.batchRuns(t, batch, l.fromCounts(counts)); totalVariation(got, want) > 1e-12 {
						t.Fatalf("%s: batch at T = %v, pool %v: %v, want %v", name, T, counts, got, want)
					}
					return want
				})
				checkSamples(t, l, prefix, N, 4000, byPrefix)
				checkSamples(t, l, batch, N, 4000, byBatch)
				if d := max(totalVariation(byPrefix, l.p), totalVariation(byBatch, l.p)); (T == 1 || N == 1) && d > 1e-14 {
					t.Errorf("%s: T = %v, N = %d: %v from the distribution itself", name, T, N, d)
				}
			}
		}
	}
}

// checkSamples compares frequencies of patches, each from a new pool, with their probabilities.
func checkSamples(t testing.TB, l law, s sampler, N, samples int, p []float64) {
	t.Helper()
	rng, uniform := rand.New(rand.NewPCG(uint64(N), 8)), rand.New(rand.NewPCG(9, 10)).Float64
	dst, counts := make([]int32, len(l.patches[0])), make([]int, len(l.p))
	for range samples {
		if n, err := s.Sample(dst, check(t, len(dst), &Patches{K: len(dst), IDs: l.pool(rng, N)}), uniform); err != nil || n != N {
			t.Fatal(n, err)
		}
		counts[l.index(t, dst)]++
	}
	checkFrequencies(t, counts, p)
}

// As the pool grows, prefix tends to temperature token by token and batch to that of whole patches, which differ.
func TestLargePools(t *testing.T) {
	for _, name := range []string{"K=2", "K=3"} {
		l := laws[name]
		for _, T := range []float64{.8, .5, .4, 1. / 3} {
			tokens, patches := l.byToken(T), powered(l.p, T)
			if d := totalVariation(tokens, patches); d < .02 {
				t.Fatalf("%s: T = %v: %v between the limits: the test shows nothing", name, T, d)
			}
			const N = 1000
			prefix := mustPrefix(t, T, len(l.patches[0]), N)
			batch := mustBatch(t, T, len(l.patches[0]), N)
			checkSamples(t, l, prefix, N, 1000, tokens)
			checkSamples(t, l, batch, N, 1000, patches)
			// The bias falls with the pool.
			var last float64
			for i, N := range []int{4, 8, 16} {
				s, _ := exponent(T)
				d := totalVariation(tokens, l.overPools(N, func(counts []int) []float64 { return l.prefixOf(counts, s) }))
				if i > 0 && d >= last {
					t.Errorf("%s: T = %v: %v from the limit with %d draws, %v with half of them", name, T, d, N, last)
				}
				last = d
			}
		}
	}
}

// T -> 1 is the distribution itself, and T -> 0 what T = 0 gives: a largest count, each of several equal ones as often.
func TestLimitsOfTemperature(t *testing.T) {
	for name, l := range laws {
		const N = 6
		at := func(s float64, of func([]int, float64) []float64) []float64 {
			return l.overPools(N, func(counts []int) []float64 { return of(counts, s) })
		}
		for kind, of := range map[string]func([]int, float64) []float64{"prefix": l.prefixOf, "batch": weighed} {
			for _, T := range []float64{.99, .999, .9999} {
				if d := totalVariation(at(1/T, of), l.p); d > 2*(1-T) {
					t.Errorf("%s: %s at T = %v is %v from T = 1", name, kind, T, d)
				}
			}
			want := at(math.Inf(1), of)
			for _, s := range []float64{N, N + .5, 1e9, 1e300} {
				if d := totalVariation(at(s, of), want); d > 1e-12 {
					t.Errorf("%s: %s at T = 1/%v is %v from T = 0", name, kind, s, d)
				}
			}
		}
	}
	l := laws["K=2"]
	counts := []int{2, 1, 2, 0, 1} // first tokens: 2, 3, 1
	if got := l.prefixRuns(t, mustPrefix(t, 0, 2, 6), l.fromCounts(counts)); totalVariation(got, []float64{0, 0, 1, 0, 0}) > 1e-15 {
		t.Errorf("prefix at T = 0: %v, want the third", got)
	}
	b := mustBatch(t, 0, 2, 6)
	if got := l.batchRuns(t, b, l.fromCounts(counts)); totalVariation(got, []float64{.5, 0, .5, 0, 0}) > 1e-15 {
		t.Errorf("batch at T = 0: %v, want the first and the third alike", got)
	}
}
