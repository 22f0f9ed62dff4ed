package temperature

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// example is the six-symbol distribution of SPEC section 5.
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

// drawing returns a Draw of patches {symbol, 10 - symbol} that makes size at once
// (want of them where size is 0), and checks that it is asked in order.
func drawing(t testing.TB, rng *rand.Rand, p []float64, size int) Draw {
	made := 0
	return func(first, want int) ([]int32, error) {
		if first != made && first != 0 || want < 1 {
			t.Fatalf("asked for %d draws from number %d after %d", want, first, made)
		}
		n := size
		if n == 0 {
			n = want
		}
		made = first + n
		var ids []int32
		for range n {
			x := symbol(rng, p)
			ids = append(ids, x, 10-x)
		}
		return ids, nil
	}
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

// checkFrequencies is Pearson's chi-square test at 1 in 10,000.
func checkFrequencies(t *testing.T, counts []int, p []float64) {
	t.Helper()
	total := 0
	for _, c := range counts {
		total += c
	}
	statistic := 0.0
	for i, c := range counts {
		expected := p[i] * float64(total)
		statistic += (float64(c) - expected) * (float64(c) - expected) / expected
	}
	const limit = 25.74 // the .9999 quantile for 5 degrees of freedom
	if len(p) != 6 {
		t.Fatal("the limit is for six symbols")
	}
	if statistic > limit {
		t.Errorf("frequencies %v of %d draws: chi-square %.1f > %v for probabilities %.5v", counts, total, statistic, limit, p)
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
	for _, c := range []struct {
		name    string
		make    func(float64) error
		T       float64
		message string
	}{
		{"exact", exact, 0, "above 0"},
		{"exact", exact, -.5, "(0, 1]"},
		{"exact", exact, 1.01, "(0, 1]"},
		{"exact", exact, math.NaN(), "(0, 1]"},
		{"exact", exact, math.Inf(1), "(0, 1]"},
		{"exact", exact, 5e-324, "too small"},
		{"exact", exact, 1e-5, "at least 100000 draws"},
		{"batch", batch, 0, "above 0"},
		{"batch", batch, 2, "(0, 1]"},
		{"batch", batch, .3, "1/3 = 0.333333 or 1/4 = 0.25"},
		{"batch", batch, .7, "1/1 = 1 or 1/2 = 0.5"},
		{"batch", batch, .334, "1/2 = 0.5 or 1/3"},
		{"batch", batch, 1. / 201, "at least 201 draws"},
	} {
		err := c.make(c.T)
		var bad *RangeError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s at %v: error %v, want a RangeError with %q", c.name, c.T, err, c.message)
		}
	}
	for _, T := range []float64{1, .5, 1. / 3, .005} {
		if err := batch(T); err != nil {
			t.Errorf("batch at %v: %v", T, err)
		}
	}
	if _, err := NewExact(1, 4, 0); err == nil {
		t.Error("a budget of no draws was accepted")
	}
}

// Whatever the sizes a network draws in, the same streams of draws and of
// uniform numbers give the same patches from the same number of draws.
func TestResultsDoNotDependOnSizes(t *testing.T) {
	sample := func(t testing.TB, T float64, size int) (ids []int32) {
		dst := make([]int32, exampleK)
		uniform := rand.New(rand.NewPCG(1, 2)).Float64
		for position := range 40 {
			noise := func() Draw { return drawing(t, rand.New(rand.NewPCG(uint64(position), 3)), example, size) }
			exact, err := NewExact(T, exampleK, 100_000)
			if err != nil {
				t.Fatal(err)
			}
			n, err := exact.Sample(dst, noise(), uniform)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(append(ids, dst...), int32(n))
			if batch, err := NewBatch(T, exampleK, 50); err == nil {
				if err := batch.Sample(dst, noise(), uniform); err != nil {
					t.Fatal(err)
				}
				ids = append(ids, dst...)
			}
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
