package temperature

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// paperDraws is the paper's expected number of draws, in which an attempt always
// takes all n of its first stage.
func paperDraws(p []float64, T float64) float64 {
	n, a, _ := split(T)
	draws := float64(n)
	if a > 0 {
		draws += powerSum(p, 1/T-1)
	}
	return draws / powerSum(p, 1/T)
}

// expectedDraws is what Exact takes, leaving the first stage at a mismatch: its
// draw j+1 is made if the first j are equal.
func expectedDraws(p []float64, T float64) float64 {
	n, a, _ := split(T)
	draws := 1.0
	for j := 1; j < n; j++ {
		draws += powerSum(p, float64(j))
	}
	if a > 0 {
		draws += powerSum(p, 1/T-1)
	}
	return draws / powerSum(p, 1/T)
}

func TestPaperDraws(t *testing.T) {
	for T, want := range map[float64]float64{.8: 6.69, .7: 6.66, .5: 7.69, .4: 17.1, 1. / 3: 35.6, .3: 53.5} {
		if got := paperDraws(example, T); math.Abs(got-want) > .005*want {
			t.Errorf("T = %v: %v draws, docs/spec.md, section 5, says %v", T, got, want)
		}
		if mine, paper := expectedDraws(example, T), paperDraws(example, T); mine > paper+1e-9 {
			t.Errorf("T = %v: leaving early takes %v draws, not leaving %v", T, mine, paper)
		}
	}
}

// Exact's frequencies are those of P^(1/T), and its cost is the closed form.
func TestExactDistribution(t *testing.T) {
	for _, T := range []float64{1, .95, .8, .7, .55, .5, .4, 1. / 3, .3, .2} {
		t.Run(fmt.Sprintf("T=%.3g", T), func(t *testing.T) {
			const runs = 20_000
			e := mustExact(t, T, exampleK, 1_000_000)
			rng, uniform := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4)).Float64
			dst, counts := make([]int32, exampleK), make([]int, len(example))
			var sum, squares float64
			for range runs {
				n, err := e.Sample(dst, drawing(t, rng, example, 0), uniform)
				if err != nil {
					t.Fatal(err)
				}
				if dst[0]+dst[1] != 10 {
					t.Fatalf("%v was never drawn", dst)
				}
				counts[dst[0]]++
				sum += float64(n)
				squares += float64(n) * float64(n)
			}
			checkFrequencies(t, counts, powered(example, T))
			mean, want := sum/runs, expectedDraws(example, T)
			deviation := math.Sqrt((squares/runs - mean*mean) / runs)
			if math.Abs(mean-want) > 4*deviation+1e-9 {
				t.Errorf("%.3f draws a patch, want %.3f +- %.3f", mean, want, deviation)
			}
		})
	}
}

// A scripted run of T = .4 (n = 2, a = .5), draw by draw.
func TestExactByHand(t *testing.T) {
	e := mustExact(t, .4, 1, 100)
	draws := []int32{
		1, 2, // differ: again
		-1,   // diverged: again
		3, 3, // a candidate
		4, // u = .6 >= .5/1: go on
		5, // u = .2 < .5/2: again
		6, 6,
		-1,                                 // u = .5 >= .5/1
		6,                                  // equal: accept
		9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, // unused
	}
	decisions := []float64{.6, .2, .5}
	uniform := func() float64 {
		u := decisions[0]
		decisions = decisions[1:]
		return u
	}
	dst := make([]int32, 1)
	n, err := e.Sample(dst, &Patches{K: 1, IDs: draws}, uniform)
	if err != nil || n != 11 || dst[0] != 6 || len(decisions) != 0 {
		t.Errorf("%v after %d draws (%v), %d decisions left; want 6 after 11", dst, n, err, len(decisions))
	}
}

// oneByOne is Algorithm 1 on whole patches, one draw after another. It returns the patch's first draw, -1 where the pool of
// N draws is not enough, and how many draws it took.
func oneByOne(pool *Patches, N, n int, a float64, uniform func() float64) (x, used int) {
	equal := func(i, j int) bool {
		return pool.IDs[i*pool.K] >= 0 && slices.Equal(pool.IDs[i*pool.K:][:pool.K], pool.IDs[j*pool.K:][:pool.K])
	}
	for used < N {
		x = used
		for used++; used < N && used < x+n && equal(x, used); used++ {
		}
		switch {
		case pool.IDs[x*pool.K] < 0:
			used = x + 1
			continue
		case used == N && used < x+n:
			return -1, used
		case used < x+n: // the draw that differs is used up
			used++
			continue
		case a == 0:
			return x, used
		}
		for i := 1; ; i++ {
			if used == N {
				return -1, used
			}
			used++
			if equal(x, used-1) {
				return x, used
			}
			if uniform() < a/float64(i) {
				break
			}
		}
	}
	return -1, used
}

// Exact gives what Algorithm 1 gives on whole patches, after as many draws and uniform numbers. It asks for the first
// tokens of all that it looks at, for later tokens only of draws that have a neighbour equal so far, and never for a token
// twice.
func exactEqualsDefinition(t *rapid.T) {
	pool, N := drawPool(t)
	T := drawT(t, .05)
	n, a, err := split(T)
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewExact(T, pool.K, N)
	if err != nil {
		if _, ok := errors.AsType[*RangeError](err); !ok || n <= N-1 {
			t.Fatal(err)
		}
		return
	}
	for range 2 { // the second time in the memory of the first
		seed := rapid.Uint64().Draw(t, "seed")
		numbers := func(taken *int) func() float64 {
			r := rand.New(rand.NewPCG(seed, 1))
			return func() float64 { *taken++; return r.Float64() }
		}
		taken, should := 0, 0
		x, used := oneByOne(pool, N, n, a, numbers(&should))
		draws, dst := check(t, pool.K, pool), make([]int32, pool.K)
		got, err := e.Sample(dst, draws, numbers(&taken))
		if got != used || taken != should {
			t.Fatalf("T = %v: %d draws and %d uniform numbers, want %d and %d", T, got, taken, used, should)
		}
		if _, over := errors.AsType[*BudgetError](err); over != (x < 0) || !over && err != nil {
			t.Fatalf("T = %v: %v, want draw %d", T, err, x)
		}
		if x >= 0 && !slices.Equal(dst, pool.IDs[x*pool.K:][:pool.K]) {
			t.Fatalf("T = %v: %v, want draw %d of %v", T, dst, x, pool.IDs)
		}
		if most := max(2*used, e.least()); len(draws.known) < used || len(draws.known) > most {
			t.Fatalf("T = %v: asked for %d draws and looked at %d", T, len(draws.known), used)
		}
		for i, asked := range draws.known {
			for k := 1; k < asked && x != i; k++ {
				if !slices.ContainsFunc(upTo(nil, len(draws.known)), func(j int) bool {
					return j != i && slices.Equal(pool.IDs[i*pool.K:][:k], pool.IDs[j*pool.K:][:k])
				}) {
					t.Fatalf("T = %v: token %d of draw %d was asked for, whose prefix no other has", T, k, i)
				}
			}
		}
	}
}

func TestExactEqualsDefinition(t *testing.T) { rapid.Check(t, exactEqualsDefinition) }
func FuzzExact(f *testing.F)                 { f.Fuzz(rapid.MakeFuzz(exactEqualsDefinition)) }

func TestExactBudget(t *testing.T) {
	e := mustExact(t, .3, 1, 500)
	uniform := rand.New(rand.NewPCG(1, 1)).Float64
	draws := check(t, 1, tokensFunc(func(dst []int32, draws []int, _ int) error {
		for i, draw := range draws {
			dst[i] = int32(draw) // never the same
		}
		return nil
	}))
	n, err := e.Sample(make([]int32, 1), draws, uniform)
	var over *BudgetError
	if !errors.As(err, &over) || n != 500 || over.Draws != 500 || over.T != .3 {
		t.Fatalf("%d draws, error %#v; want a BudgetError at 500", n, err)
	}
	if message := err.Error(); !strings.Contains(message, "500 draws at temperature 0.3") {
		t.Errorf("message %q", message)
	}
	if draws.asked() != 500 {
		t.Errorf("asked for %d draws, want no more than the budget", draws.asked())
	}
}

// A certain model takes no more draws than acceptance needs, and one call a token.
func TestExactAsksForLittle(t *testing.T) {
	for T, want := range map[float64]int{1: 1, .7: 2, .5: 2, .4: 3, .25: 4, .3: 4} {
		e := mustExact(t, T, 3, DefaultBudget)
		draws := check(t, 3, tokensFunc(func(dst []int32, _ []int, _ int) error { clear(dst); return nil }))
		n, err := e.Sample(make([]int32, 3), draws, func() float64 { return .5 })
		if err != nil || n != want || draws.asked() != 3*want || draws.calls != 3 {
			t.Errorf("T = %v: %d tokens of %d draws in %d calls (%v), want all 3 of %d in 3", T, draws.asked(), n, draws.calls, err, want)
		}
	}
}

// Where first tokens are equal more often than patches are, tokens that no comparison needs are left out, and many
// comparisons share a call.
func TestExactDecodesByNeed(t *testing.T) {
	e := mustExact(t, .5, 4, 1_000_000)
	rng, uniform := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4)).Float64
	looked, made, asked, calls, dst := 0, 0, 0, 0, make([]int32, 4)
	for range 200 {
		draws := check(t, 4, &Patches{K: 4, Make: func(_, want int) (ids []int32, _ error) {
			for range 4 * want {
				ids = append(ids, symbol(rng, example)) // equal with probability .26; patches with .005
			}
			return ids, nil
		}})
		n, err := e.Sample(dst, draws, uniform)
		if err != nil {
			t.Fatal(err)
		}
		looked, made, asked, calls = looked+n, made+len(draws.known), asked+draws.asked(), calls+draws.calls
	}
	// Of two draws, both need a second token with probability q, a third with q^2, and so on.
	q := powerSum(example, 2)
	perDraw := float64(asked) / float64(made)
	if want := 1 + q + q*q + q*q*q; perDraw > 1.05*want {
		t.Errorf("%.3f tokens a draw, want about %.3f", perDraw, want)
	}
	if perPatch := float64(calls) / 200; perPatch > 40 {
		t.Errorf("%.1f calls for a patch of %d draws", perPatch, looked/200)
	}
	t.Logf("a patch: %d draws looked at of %d made, %.2f tokens a draw, %.1f calls", looked/200, made/200, perDraw, float64(calls)/200)
}

func BenchmarkExact(b *testing.B) {
	e := mustExact(b, .3, 4, 1_000_000)
	rng, pool := rand.New(rand.NewPCG(1, 2)), make([]int32, 0, 1<<18)
	for range 1 << 16 {
		x := symbol(rng, example)
		pool = append(pool, 0, 1, 10-x, x)
	}
	dst := make([]int32, 4)
	draws := &Patches{K: 4}
	b.ReportAllocs()
	for b.Loop() {
		draws.IDs = pool[rng.IntN(1<<15)*4:]
		if _, err := e.Sample(dst, draws, rng.Float64); err != nil {
			b.Fatal(err)
		}
	}
}
