package brier

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func near(t *testing.T, what string, got, want Score, tolerance float64) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateApprox(0, tolerance)); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestLM(t *testing.T) {
	cases := []struct {
		name       string
		score      Score
		lm         float64
		measurable bool
	}{
		{"perfect", Score{1, 1, 1, 1}, 100, true},
		{"powers of two", Score{.5, .25, .125, .0625}, 100 * math.Exp2(-2.5), true},
		{"one zero", Score{.4, .2, .1, 0}, 0, false},
		{"one negative", Score{.4, .2, .1, -.01}, 0, false},
		{"two negative", Score{.4, .2, -.1, -.1}, 0, false},
		{"always wrong and the same", Score{-1, -1, -1, -1}, 0, false},
		{"not a number", Score{.4, .2, math.NaN(), .1}, 0, false},
	}
	for _, c := range cases {
		lm, measurable := c.score.LM()
		if math.Abs(lm-c.lm) > 1e-12 || measurable != c.measurable {
			t.Errorf("%s: LM = %v, %v; want %v, %v", c.name, lm, measurable, c.lm, c.measurable)
		}
	}
}

func TestUniform(t *testing.T) {
	for _, vocab := range []int{1, 2, 257, 128257} {
		r := Uniform(vocab).Result()
		want := 100 * math.Pow(float64(vocab), -2.5)
		if math.Abs(float64(r.BrierLM)-want) > 1e-12*want || !r.Measurable {
			t.Errorf("uniform over %d: BrierLM %v, want %v", vocab, r.BrierLM, want)
		}
		if v := 100 / float64(vocab); math.Abs(r.Brier[0]-v) > 1e-12*v {
			t.Errorf("uniform over %d: Brier-1 %v, want %v", vocab, r.Brier[0], v)
		}
	}
}

// The Brier score is strictly proper: the true distribution scores best.
func TestCollisionMakesItProper(t *testing.T) {
	truth := []float64{.5, .3, .2}
	expected := func(p []float64) (sum float64) {
		for y, q := range truth {
			sum += q * (2*p[y] - Collision(p))
		}
		return sum
	}
	best := expected(truth)
	if want := Collision(truth); math.Abs(best-want) > 1e-15 {
		t.Errorf("the truth scores %v, want its own collision probability %v", best, want)
	}
	for _, other := range [][]float64{{1, 0, 0}, {.51, .29, .2}, {1. / 3, 1. / 3, 1. / 3}, {.2, .3, .5}} {
		if got := expected(other); got >= best {
			t.Errorf("prediction %v scores %v, the truth %v", other, got, best)
		}
	}
	if got := Collision([]float32{.5, .25, .25}); got != .375 {
		t.Errorf("float32: %v, want .375", got)
	}
}

// chain is a Markov chain of order one on two tokens.
type chain struct {
	first [2]float64
	next  [2][2]float64
}

func (c chain) distribution(history []int32) []float64 {
	if len(history) == 0 {
		return c.first[:]
	}
	return c.next[history[len(history)-1]][:]
}

// probability of the n-gram.
func (c chain) probability(ids []int32) float64 {
	p := 1.0
	for j, id := range ids {
		p *= c.distribution(ids[:j])[id]
	}
	return p
}

// bitsOf returns the N bits of i as ids.
func bitsOf(i int) []int32 {
	ids := make([]int32, N)
	for j := range ids {
		ids[j] = int32(i >> j & 1)
	}
	return ids
}

// exactScore computes 2 P(y) - sum P^2 for each n by summing over all n-grams.
func exactScore(probability func([]int32) float64, target []int32) Score {
	var s Score
	for i := range 1 << N {
		x := bitsOf(i)
		for n := 1; n <= N; n++ {
			if i>>n == 0 { // each n-gram once
				s[n-1] -= probability(x[:n]) * probability(x[:n])
			}
		}
	}
	for n := 1; n <= N; n++ {
		s[n-1] += 2 * probability(target[:n])
	}
	return s
}

// The expectation of Autoregressive over both samples is the exact score.
func TestAutoregressiveIsUnbiased(t *testing.T) {
	model := chain{first: [2]float64{.7, .3}, next: [2][2]float64{{.9, .1}, {.4, .6}}}
	for y := range 1 << N {
		target := bitsOf(y)
		var mean Score
		for i := range 1 << N {
			for k := range 1 << N {
				first, second := bitsOf(i), bitsOf(k)
				var likelihood, collision [N]float64
				weight, agree := 1.0, 0
				for j := range N {
					likelihood[j] = model.distribution(target[:j])[target[j]]
					p := model.distribution(first[:j])
					collision[j] = Collision(p)
					// The j-th tokens of both samples continue the first sample.
					weight *= p[first[j]] * p[second[j]]
					if agree == j && first[j] == second[j] {
						agree++
					}
				}
				for n, b := range Autoregressive(likelihood, collision, agree) {
					mean[n] += weight * b
				}
			}
		}
		near(t, "mean over all samples", mean, exactScore(model.probability, target), 1e-14)
	}
}

// The expectation of Continued over all samples is the exact score, for patches of one to three tokens. Samples that are
// compared with the target continue the true patches; samples that are compared with each other continue the first one.
func TestContinuedIsUnbiased(t *testing.T) {
	model := chain{first: [2]float64{.7, .3}, next: [2][2]float64{{.9, .1}, {.4, .6}}}
	const whole = 6 // tokens: patches of 3 reach beyond N
	// weight is the probability of ids from the token at on, where each patch is drawn after those of history.
	weight := func(history, ids []int32, patch int) float64 {
		p := 1.0
		for at := 0; at < len(ids); at += patch {
			end := min(at+patch, len(ids))
			for j := at; j < end; j++ {
				p *= model.distribution(append(append([]int32{}, history[:at]...), ids[at:j]...))[ids[j]]
			}
		}
		return p
	}
	bits := func(i, n int) []int32 {
		ids := make([]int32, n)
		for j := range ids {
			ids[j] = int32(i >> j & 1)
		}
		return ids
	}
	prefix := func(a, b []int32) int {
		n := 0
		for n < len(a) && a[n] == b[n] {
			n++
		}
		return n
	}
	for patch := 1; patch <= 3; patch++ {
		n := (N + patch - 1) / patch * patch
		if n > whole {
			t.Fatal(n)
		}
		for y := range 1 << N {
			target := append(bitsOf(y), make([]int32, n-N)...)
			// Expectations add: the comparison of both samples with the target, then with each other.
			var mean Score
			for i := range 1 << n {
				x := bits(i, n)
				w := weight(target, x, patch)
				for j, b := range Continued([2]int{prefix(x, target), 0}, 0) {
					mean[j] += w * b
				}
				for j, b := range Continued([2]int{0, prefix(x, target)}, 0) {
					mean[j] += w * b
				}
				for k := range 1 << n {
					second := bits(k, n)
					w := weight(x, x, patch) * weight(x, second, patch)
					for j, b := range Continued([2]int{}, prefix(x, second)) {
						mean[j] += w * b
					}
				}
			}
			near(t, "mean over all samples", mean, exactScore(model.probability, target), 1e-12)
		}
	}
}
