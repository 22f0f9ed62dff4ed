package temperature

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawPool is a pool of N patches with many common prefixes, some of which diverged; one of them at least did not.
func drawPool(t *rapid.T) (pool *Patches, N int) {
	k := rapid.IntRange(1, 4).Draw(t, "K")
	N = rapid.IntRange(1, 40).Draw(t, "N")
	values := rapid.Int32Range(0, int32(rapid.IntRange(0, 5).Draw(t, "values")))
	pool = &Patches{K: k, IDs: rapid.SliceOfN(values, N*k, N*k).Draw(t, "ids")}
	for i := range N - 1 {
		if rapid.IntRange(0, 9).Draw(t, "diverges") == 0 {
			copy(pool.IDs[i*k:], slices.Repeat([]int32{-1}, k))
		}
	}
	return pool, N
}

// drawT is a temperature: any, 1/n, or a limit.
func drawT(t *rapid.T, least float64) float64 {
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		return 1 / float64(rapid.IntRange(1, 10).Draw(t, "n"))
	case 1:
		return max(least, rapid.SampledFrom([]float64{0, 1e-300, 1e-9, .999999, .99999}).Draw(t, "limit"))
	}
	return rapid.Float64Range(max(least, .05), 1).Draw(t, "T")
}

// The prefix sampler by its definition: token by token among the draws that share the prefix, at any uniform numbers. It
// asks for exactly the tokens that the definition looks at.
func prefixEqualsDefinition(t *rapid.T) {
	pool, N := drawPool(t)
	T := drawT(t, 0)
	s, err := exponent(T)
	if err != nil {
		t.Fatal(err)
	}
	p := mustPrefix(t, T, pool.K, N)
	for range 3 {
		var us []float64
		var want []int32
		alive, needed := upTo(nil, N), 0
		for k := range pool.K {
			needed += len(alive)
			counts := map[int32]int{}
			for _, i := range alive {
				if v := pool.IDs[i*pool.K+k]; v >= 0 {
					counts[v]++
				}
			}
			values := []int32{}
			for v := range counts {
				values = append(values, v)
			}
			slices.Sort(values)
			c := []int{}
			for _, v := range values {
				c = append(c, counts[v])
			}
			u := rapid.Float64Range(0, 1-1e-9).Draw(t, "u")
			sum, chosen := 0., -1
			for i, q := range weighed(c, s) {
				if chosen < 0 && u < sum+q {
					// Away from the ends, where rounding decides.
					if chosen = i; q > 1e-3 {
						u = min(max(u, sum+q*1e-9), sum+q*(1-1e-9))
					} else {
						u = sum + q/2
					}
				}
				sum += q
			}
			v := values[max(chosen, 0)]
			us, want = append(us, u), append(want, v)
			alive = slices.DeleteFunc(alive, func(i int) bool { return pool.IDs[i*pool.K+k] != v })
		}
		draws, taken := check(t, pool.K, pool), 0
		dst := make([]int32, pool.K)
		n, err := p.Sample(dst, draws, func() float64 { taken++; return us[taken-1] })
		if err != nil || n != N || !slices.Equal(dst, want) || taken != pool.K {
			t.Fatalf("T = %v, u = %v: %v of %d draws with %d uniform numbers (%v), want %v", T, us, dst, n, taken, err, want)
		}
		checkShares(t, pool, N, dst, p.Shares())
		if draws.asked() != needed || draws.calls != pool.K {
			t.Fatalf("asked for %d tokens in %d calls, want %d in %d", draws.asked(), draws.calls, needed, pool.K)
		}
	}
}

// checkShares compares the shares of a patch with their definition.
func checkShares(t *rapid.T, pool *Patches, N int, patch []int32, shares []float64) {
	if len(shares) != pool.K {
		t.Fatalf("%d shares of %d tokens", len(shares), pool.K)
	}
	for k := range patch {
		before, with := 0, 0
		for i := range N {
			draw := pool.IDs[i*pool.K:][:pool.K]
			if draw[0] >= 0 && slices.Equal(draw[:k], patch[:k]) {
				before++
				if draw[k] == patch[k] {
					with++
				}
			}
		}
		if shares[k] != float64(with)/float64(before) {
			t.Fatalf("token %d of %v has share %v, want %d of %d", k, patch, shares[k], with, before)
		}
	}
}

func TestPrefixEqualsDefinition(t *testing.T) { rapid.Check(t, prefixEqualsDefinition) }
func FuzzPrefix(f *testing.F)                 { f.Fuzz(rapid.MakeFuzz(prefixEqualsDefinition)) }

// largePools are pools of a million draws: all equal, all different, two values as often, and a few values.
func largePools() map[string]*Patches {
	const N = 1_000_000
	make := func(token func(i int) int32) *Patches {
		p := &Patches{K: 2, IDs: make([]int32, 0, 2*N)}
		for i := range N {
			p.IDs = append(p.IDs, token(i), int32(i%3))
		}
		return p
	}
	return map[string]*Patches{
		"equal":     make(func(int) int32 { return 5 }),
		"different": make(func(i int) int32 { return int32(N - i) }),
		"two":       make(func(i int) int32 { return int32(i % 2) }),
		"few":       make(func(i int) int32 { return int32((i % 1000) * (i % 1000) / 100_000) }),
	}
}

// Pools of a million draws work at every temperature.
func TestLargestPools(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for name, pool := range largePools() {
		for _, T := range []float64{0, 1e-300, .7, .99999} {
			for kind, s := range samplersOfPools(t, T, 2, 1_000_000) {
				dst := []int32{-1, -1}
				if _, err := s.Sample(dst, pool, func() float64 { return .4 }); err != nil || dst[0] < 0 || dst[1] < 0 || dst[1] > 2 {
					t.Errorf("%s of %s at T = %v: %v (%v)", kind, name, T, dst, err)
				}
				if name == "few" && T < .001 && dst[0] != 0 { // 317 of 1000
					t.Errorf("%s at T = %v: %v is not the most frequent", kind, T, dst)
				}
			}
		}
	}
}

// samplersOfPools are prefix and batch, by name.
func samplersOfPools(t testing.TB, T float64, patch, pool int) map[string]sampler {
	t.Helper()
	return map[string]sampler{"prefix": mustPrefix(t, T, patch, pool), "batch": mustBatch(t, T, patch, pool)}
}

// skewed are patches of four tokens of a language model, by and large: first tokens are equal in 3 of 10 draws, patches
// in a few of 100.
func skewed(N int) *Patches {
	rng := rand.New(rand.NewPCG(1, 2))
	p := &Patches{K: 4}
	for range N * 4 {
		v := rng.ExpFloat64() * 1.5
		p.IDs = append(p.IDs, int32(v*v))
	}
	return p
}

// Samplers of pools do not allocate once they have met pools of the size.
func TestSamplersDoNotAllocate(t *testing.T) {
	const N, pools = 200, 20
	all, window, dst := skewed(N+pools), &Patches{K: 4}, make([]int32, 4)
	for _, T := range []float64{1, .7, .5, .3, .01, 0} {
		for name, s := range samplersOfPools(t, T, 4, N) {
			uniform, n := rand.New(rand.NewPCG(3, 4)).Float64, 0
			sample := func() {
				window.IDs = all.IDs[n%pools*4:]
				n++
				if _, err := s.Sample(dst, window, uniform); err != nil {
					t.Fatal(err)
				}
			}
			for range pools {
				sample()
			}
			if allocs := testing.AllocsPerRun(10*pools, sample); allocs > 0 {
				t.Errorf("%s at %v: %v allocations a patch", name, T, allocs)
			}
		}
	}
}

func BenchmarkPools(b *testing.B) {
	for _, T := range []float64{.5, 1. / 3, .7} {
		for _, N := range []int{64, 200, 1000} {
			for name, s := range samplersOfPools(b, T, 4, N) {
				b.Run(fmt.Sprintf("%s/T=%.2g/draws=%d", name, T, N), func(b *testing.B) {
					pool, dst, rng := skewed(N+500), make([]int32, 4), rand.New(rand.NewPCG(1, 2))
					draws, uniform := &Patches{K: 4}, rng.Float64
					b.ReportAllocs()
					for b.Loop() {
						draws.IDs = pool.IDs[rng.IntN(500)*4:]
						if _, err := s.Sample(dst, draws, uniform); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
