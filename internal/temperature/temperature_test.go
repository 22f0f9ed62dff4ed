package temperature

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// example is the six-symbol distribution of docs/spec.md, section 5.
var example = []float64{.4, .25, .15, .1, .06, .04}

const exampleK = 2

// symbol draws from a distribution.
func symbol(rng *rand.Rand, p []float64) int32 {
	u := rng.Float64()
	for i, v := range p {
		if u -= v; u < 0 {
			return int32(i)
		}
	}
	return int32(len(p) - 1)
}

// drawing returns draws of patches {symbol, 10 - symbol}, size made at once, or as many as are wanted where size is 0.
func drawing(t testing.TB, rng *rand.Rand, p []float64, size int) Draws {
	return check(t, exampleK, &Patches{K: exampleK, Make: func(_, want int) (ids []int32, err error) {
		if size > 0 {
			want = size
		}
		for range want {
			x := symbol(rng, p)
			ids = append(ids, x, 10-x)
		}
		return ids, nil
	}})
}

// checked are draws that fail the test where a sampler breaks a promise of Draws, and count what it asks for.
type checked struct {
	t     rapid.TB // a *testing.T or a *rapid.T
	of    Draws
	patch int
	known []int // tokens of each draw that were asked for
	calls int
}

func check(t rapid.TB, patch int, of Draws) *checked { return &checked{t: t, of: of, patch: patch} }

func (c *checked) Tokens(dst []int32, draws []int, k int) error {
	c.t.Helper()
	c.calls++
	if len(dst) != len(draws) || len(draws) == 0 || k < 0 || k >= c.patch {
		c.t.Fatalf("asked for token %d of %d draws, with room for %d", k, len(draws), len(dst))
	}
	for i, draw := range draws {
		if i > 0 && draw <= draws[i-1] {
			c.t.Fatalf("asked for draws %v: not ascending", draws)
		}
		if k == 0 && draw == len(c.known) {
			c.known = append(c.known, 0)
		}
		if draw < 0 || draw >= len(c.known) || c.known[draw] != k {
			c.t.Fatalf("asked for token %d of draw %d; known are %v", k, draw, c.known)
		}
		c.known[draw]++
	}
	return c.of.Tokens(dst, draws, k)
}

// asked returns how many tokens were asked for.
func (c *checked) asked() (sum int) {
	for _, n := range c.known {
		sum += n
	}
	return sum
}

// powered returns p^(1/T) normalised: what sampling at T means.
func powered(p []float64, T float64) []float64 {
	out, sum := make([]float64, len(p)), powerSum(p, 1/T)
	for i, v := range p {
		out[i] = math.Pow(v, 1/T) / sum
	}
	return out
}

func powerSum(p []float64, exponent float64) (sum float64) {
	for _, v := range p {
		sum += math.Pow(v, exponent)
	}
	return sum
}

func totalVariation(p, q []float64) (tv float64) {
	for i := range p {
		tv += math.Abs(p[i]-q[i]) / 2
	}
	return tv
}

// checkFrequencies is Pearson's chi-square test at about 1 in 10,000, and a bound on the total variation.
func checkFrequencies(t testing.TB, counts []int, p []float64) {
	t.Helper()
	total := 0
	for _, c := range counts {
		total += c
	}
	statistic, freedom, q := 0., -1., make([]float64, len(p))
	for i, c := range counts {
		q[i] = float64(c) / float64(total)
		if p[i] == 0 {
			if c > 0 {
				t.Errorf("outcome %d came %d times and has probability 0", i, c)
			}
			continue
		}
		expected := p[i] * float64(total)
		statistic += (float64(c) - expected) * (float64(c) - expected) / expected
		freedom++
	}
	// Wilson and Hilferty's approximation of the .9999 quantile.
	d := 2 / (9 * freedom)
	if limit := freedom * math.Pow(1-d+3.719*math.Sqrt(d), 3); freedom > 0 && statistic > limit {
		t.Errorf("frequencies %v of %d draws: chi-square %.1f > %.1f for probabilities %.5v", counts, total, statistic, limit, p)
	}
	// The mean of the total variation is less than sqrt((freedom+1)/total)/2.
	if tv, limit := totalVariation(q, p), math.Sqrt((freedom+1)/float64(total)); tv > limit {
		t.Errorf("total variation %.4f > %.4f between frequencies %.4v and probabilities %.4v", tv, limit, q, p)
	}
}

func TestExponent(t *testing.T) {
	for _, c := range []struct{ T, s float64 }{
		{0, math.Inf(1)}, {math.Copysign(0, -1), math.Inf(1)}, {5e-324, math.Inf(1)}, {1e-300, 1e300}, {1e-9, 1e9},
		{1, 1}, {.999999, 1}, {.99, 1 / .99}, {.7, 1 / .7}, {.5, 2}, {.499999, 2}, {.333333, 3}, {float64(float32(.1)), 10},
	} {
		if s, err := exponent(c.T); s != c.s && !(math.Abs(s-c.s) < 1e-15*c.s) || err != nil {
			t.Errorf("T = %v: s = %v (%v), want %v", c.T, s, err, c.s)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		T, a float64
		n    int
	}{
		{1, 0, 1}, {.5, 0, 2}, {1. / 3, 0, 3}, {.25, 0, 4}, {.2, 0, 5}, {.1, 0, 10}, {.05, 0, 20}, {.01, 0, 100}, {.001, 0, 1000},
		{.333333, 0, 3}, {.666667, .49999925, 1}, {.142857, 0, 7},
		{float64(float32(.1)), 0, 10}, {float64(float32(1. / 3)), 0, 3},
		{math.Nextafter(1, 0), 0, 1}, {math.Nextafter(.5, 1), 0, 2}, {math.Nextafter(.5, 0), 0, 2},
		{.8, .25, 1}, {.7, 1/.7 - 1, 1}, {.4, .5, 2}, {.3, 1. / 3, 3}, {.999, 1/.999 - 1, 1}, {.501, 1/.501 - 1, 1}, {.333, 1/.333 - 3, 3},
	} {
		n, a, err := split(c.T)
		if err != nil || n != c.n || math.Abs(a-c.a) > 1e-12 {
			t.Errorf("1/%v = %d + %v (%v), want %d + %v", c.T, n, a, err, c.n, c.a)
		}
	}
	for n := 1; n <= 5000; n++ {
		if got, a, err := split(1 / float64(n)); got != n || a != 0 || err != nil {
			t.Errorf("1/%d: %d + %v (%v)", n, got, a, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		T := rapid.Float64Range(1e-8, 1).Draw(t, "T")
		n, a, err := split(T)
		if err != nil || n < 1 || a < 0 || a >= 1 {
			t.Fatalf("1/%v = %d + %v (%v)", T, n, a, err)
		}
		if d := (float64(n)+a)*T - 1; math.Abs(d) > tolerance {
			t.Fatalf("1/%v = %d + %v is off by %v", T, n, a, d)
		}
	})
}

func TestRefusals(t *testing.T) {
	exact := func(T float64) error { _, err := NewExact(T, 4, DefaultBudget); return err }
	batch := func(T float64) error { _, err := NewBatch(T, 4, DefaultPool); return err }
	prefix := func(T float64) error { _, err := NewPrefix(T, 4, DefaultPrefixPool); return err }
	for _, c := range []struct {
		name    string
		make    func(float64) error
		T       float64
		message string
	}{
		{"exact", exact, 0, "prefix sampler"},
		{"exact", exact, -.5, "(0, 1]"},
		{"exact", exact, 1.01, "(0, 1]"},
		{"exact", exact, math.NaN(), "(0, 1]"},
		{"exact", exact, math.Inf(1), "(0, 1]"},
		{"exact", exact, 5e-324, "too small"},
		{"exact", exact, 1e-5, "at least 100000 draws"},
		{"batch", batch, 2, "[0, 1]"},
		{"batch", batch, -1e-9, "[0, 1]"},
		{"batch", batch, math.NaN(), "[0, 1]"},
		{"prefix", prefix, 1.0001, "[0, 1]"},
		{"prefix", prefix, math.Inf(-1), "[0, 1]"},
		{"empty pool", func(T float64) error { _, err := NewBatch(T, 4, 0); return err }, .5, "1 to"},
		{"negative pool", func(T float64) error { _, err := NewPrefix(T, 4, -3); return err }, .5, "and -3 are given"},
		{"pool beyond memory", func(T float64) error { _, err := NewPrefix(T, 4, 1<<31); return err }, .5, "1 to"},
		{"empty budget", func(T float64) error { _, err := NewExact(T, 4, 0); return err }, 1, "at least 1 draws"},
	} {
		err := c.make(c.T)
		var bad *RangeError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s at %v: error %v, want a RangeError with %q", c.name, c.T, err, c.message)
		}
	}
	for _, T := range []float64{1, .7, .5, 1. / 3, .3, .005, 1e-9, 1e-300, 0} {
		if err := batch(T); err != nil {
			t.Errorf("batch at %v: %v", T, err)
		}
		if err := prefix(T); err != nil {
			t.Errorf("prefix at %v: %v", T, err)
		}
	}
}

func mustPrefix(t rapid.TB, T float64, patch, pool int) *Prefix {
	t.Helper()
	p, err := NewPrefix(T, patch, pool)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustBatch(t rapid.TB, T float64, patch, pool int) *Batch {
	t.Helper()
	b, err := NewBatch(T, patch, pool)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustExact(t rapid.TB, T float64, patch, budget int) *Exact {
	t.Helper()
	e, err := NewExact(T, patch, budget)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// sampler is any of the three.
type sampler interface {
	Sample(dst []int32, draws Draws, uniform func() float64) (int, error)
}

// samplers are all three for a temperature, by name.
func samplers(t testing.TB, T float64, patch, pool, budget int) map[string]sampler {
	t.Helper()
	return map[string]sampler{"prefix": mustPrefix(t, T, patch, pool), "batch": mustBatch(t, T, patch, pool), "exact": mustExact(t, T, patch, budget)}
}

// Whatever the numbers of draws that a network makes at once, the same sequences of draws and of uniform numbers give the
// same patches from the same number of draws.
func TestResultsDoNotDependOnSizes(t *testing.T) {
	sample := func(t testing.TB, T float64, size int) (ids []int32) {
		dst := make([]int32, exampleK)
		for name, s := range samplers(t, T, exampleK, 50, 100_000) {
			uniform := rand.New(rand.NewPCG(1, 2)).Float64
			var mine []int32
			for position := range uint64(40) {
				n, err := s.Sample(dst, drawing(t, rand.New(rand.NewPCG(position, 3)), example, size), uniform)
				if err != nil {
					t.Fatal(err)
				}
				mine = append(append(mine, dst...), int32(n))
			}
			at := map[string]int{"prefix": 0, "batch": 1, "exact": 2}[name] * len(mine)
			ids = append(ids, make([]int32, max(0, at+len(mine)-len(ids)))...)
			copy(ids[at:], mine)
		}
		return ids
	}
	for _, T := range []float64{1, .8, .5, .3, .25} {
		want := sample(t, T, 1)
		for _, size := range []int{0, 2, 7, 64, 1000} {
			got := sample(t, T, size)
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("T = %v: %d draws at once give another result than one (item %d)", T, size, i)
				}
			}
		}
	}
}

// An error of the draws comes through as it is, whichever token it comes with.
func TestDrawErrorIsReturned(t *testing.T) {
	broken := errors.New("the network is gone")
	for _, T := range []float64{1, .7, .5, .3} {
		for name, s := range samplers(t, T, 3, 4, 10) {
			for fails := range 3 {
				_, err := s.Sample(make([]int32, 3), tokensFunc(func(dst []int32, _ []int, k int) error {
					clear(dst)
					if k == fails {
						return broken
					}
					return nil
				}), func() float64 { return .5 })
				if err != broken {
					t.Errorf("%s at %v, token %d: error %v", name, T, fails, err)
				}
			}
		}
	}
}

// tokensFunc is a function as Draws.
type tokensFunc func(dst []int32, draws []int, k int) error

func (f tokensFunc) Tokens(dst []int32, draws []int, k int) error { return f(dst, draws, k) }

// Diverged draws are never chosen, those not looked at do not matter, and nothing else is a DivergedError.
func TestDiverged(t *testing.T) {
	const pool = 20
	only := func(good ...int) Draws {
		return tokensFunc(func(dst []int32, draws []int, k int) error {
			for i, draw := range draws {
				dst[i] = -1
				for _, g := range good {
					if draw == g {
						dst[i] = int32(7 + k)
					}
				}
			}
			return nil
		})
	}
	half := func() float64 { return .5 }
	for _, T := range []float64{1, .7, .5, .3} {
		for name, s := range samplers(t, T, 3, pool, 300) {
			dst := make([]int32, 3)
			n, err := s.Sample(dst, only(), half)
			want := map[bool]int{true: maxAtOnce, false: pool}[name == "exact"]
			if diverged, ok := errors.AsType[*DivergedError](err); !ok || diverged.Draws != want || n != want {
				t.Errorf("%s at %v: %d draws, error %v; want %d diverged ones", name, T, n, err, want)
			}
			if _, err := s.Sample(dst, only(4, 5, 6, 7, 8, 9, 10), half); err != nil || dst[0] != 7 || dst[1] != 8 || dst[2] != 9 {
				t.Errorf("%s at %v: %v, error %v; want the draws that did not diverge", name, T, dst, err)
			}
		}
	}
	e := mustExact(t, .5, 3, 10)
	if n, err := e.Sample(make([]int32, 3), only(0, 1), half); n != 2 || err != nil {
		t.Errorf("%d draws, error %v: draws behind those looked at diverge", n, err)
	}
	if _, err := e.Sample(make([]int32, 3), only(), half); !isDiverged(err) {
		t.Errorf("error %v: the whole budget diverged", err)
	}
	if _, err := e.Sample(make([]int32, 3), only(3), half); isDiverged(err) || err == nil {
		t.Errorf("error %v: want a BudgetError, one draw did not diverge", err)
	}
}

func isDiverged(err error) bool {
	_, ok := errors.AsType[*DivergedError](err)
	return ok
}
