package temperature

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// fallingWeight is the definition, for small counts.
func fallingWeight(c int, s float64) float64 {
	if float64(c) <= s-1 {
		return 0
	}
	return math.Gamma(float64(c)+1) / math.Gamma(float64(c)+1-s)
}

// For whole s weights are proportional to C(c, s), counted in whole numbers, and for s = 1 to c.
func TestWeightsOfWholeExponents(t *testing.T) {
	for _, largest := range []int{1, 2, 3, 10, 64, 200, 5000} {
		for _, s := range []int{1, 2, 3, 7, 100, 4999} {
			if s > largest {
				continue
			}
			w := newWeigher(float64(s), largest)
			of := new(big.Rat).SetInt(new(big.Int).Binomial(int64(largest), int64(s)))
			for c := 1; c <= largest; c += 1 + largest/50 {
				want, _ := new(big.Rat).Quo(new(big.Rat).SetInt(new(big.Int).Binomial(int64(c), int64(s))), of).Float64()
				if got := w.weight(c); math.Abs(got-want) > 1e-10*want {
					t.Errorf("s = %d: weight of %d beside %d is %v, want %v", s, c, largest, got, want)
				}
			}
		}
	}
	w := newWeigher(1, 1_000_000)
	for c := 1; c <= 1_000_000; c += 997 {
		if got, want := w.weight(c), float64(c)/1e6; math.Abs(got-want) > 1e-13*want {
			t.Fatalf("s = 1: weight of %d is %v, want %v", c, got, want)
		}
	}
}

// For any s the weights satisfy w(c) / w(c-1) = c / (c - s), which with continuity defines them, up to counts of 1e6.
func TestWeightsSatisfyRecurrence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.IntRange(2, 1_000_000).Draw(t, "c")
		s := 1 + rapid.Float64Range(0, 1).Draw(t, "share")*float64(c-1)
		if rapid.Bool().Draw(t, "small") {
			s = min(float64(c), rapid.Float64Range(1, 20).Draw(t, "s"))
		}
		got, want := newWeigher(s, c).weight(c-1), (float64(c)-s)/float64(c)
		if math.Abs(got-want) > 3e-8*want+1e-300 {
			t.Fatalf("s = %v: weight of %d beside %d is %v, want %v", s, c-1, c, got, want)
		}
		if c < 150 {
			if want := fallingWeight(c-1, s) / fallingWeight(c, s); math.Abs(got-want) > 1e-10*want+1e-300 {
				t.Fatalf("s = %v: weight of %d beside %d is %v, by the Gamma function %v", s, c-1, c, got, want)
			}
		}
	})
}

// Weights are continuous in s where it passes a whole number and where it passes the largest count; from there on the
// largest count alone has one.
func TestWeightsAreContinuous(t *testing.T) {
	const largest = 9
	for n := 2.; n <= largest+2; n++ {
		below, at, above := newWeigher(n-1e-9, largest), newWeigher(n, largest), newWeigher(n+1e-9, largest)
		for c := 1; c <= largest; c++ {
			if a, b, d := below.weight(c), at.weight(c), above.weight(c); math.Abs(a-b) > 1e-7 || math.Abs(d-b) > 1e-7 {
				t.Errorf("weight of %d: %v before s = %v, %v at it, %v after", c, a, n, b, d)
			}
		}
	}
	for _, s := range []float64{largest, largest + .5, 1e9, 1e300, math.Inf(1)} {
		w := newWeigher(s, largest)
		for c := 1; c <= largest; c++ {
			if got, want := w.weight(c) == 1, c == largest; got != want || !want && w.weight(c) != 0 {
				t.Errorf("s = %v: weight of %d is %v", s, c, w.weight(c))
			}
		}
	}
}

// No pool and no temperature makes weights that are not numbers in [0, 1].
func TestWeightsDoNotOverflow(t *testing.T) {
	for _, T := range []float64{0, 5e-324, 1e-300, 1e-9, 1e-6, 1.5e-6, .001, .3, .5, .999, .99999, .999999, math.Nextafter(1, 0), 1} {
		s, err := exponent(T)
		if err != nil {
			t.Fatal(err)
		}
		for _, largest := range []int{1, 2, 17, 1000, 999_999, 1_000_000} {
			w, last := newWeigher(s, largest), 0.
			for c := 1; c <= largest; c += 1 + largest/1000 {
				if got := w.weight(c); !(got >= last && got <= 1) {
					t.Fatalf("T = %v: weight of %d beside %d is %v, after %v", T, c, largest, got, last)
				} else {
					last = got
				}
			}
			if w.weight(largest) != 1 {
				t.Fatalf("T = %v: weight of the largest count %d is %v", T, largest, w.weight(largest))
			}
		}
	}
}

// pick maps [0, 1) onto the weights in their order and proportion, and never onto a weight of zero.
func TestPickIsProportional(t *testing.T) {
	weights := []float64{0, .6, 0, .3, .1, 0}
	const steps = 10_000
	counts, last := make([]int, len(weights)), 0
	for i := range steps {
		choice := pick(weights, (float64(i)+.5)/steps)
		if choice < last {
			t.Fatal("not monotonic")
		}
		last = choice
		counts[choice]++
	}
	for i, w := range weights {
		if math.Abs(float64(counts[i])-w*steps) > 1 {
			t.Errorf("weight %v is chosen %d times of %d", w, counts[i], steps)
		}
	}
	for _, u := range []float64{0, 1 - 0x1p-53} {
		if i := pick(weights, u); weights[i] == 0 {
			t.Errorf("u = %v picks a weight of zero", u)
		}
	}
	for _, u := range []float64{-1, 1, math.NaN()} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("u = %v was taken", u)
				}
			}()
			pick(weights, u)
		}()
	}
}
