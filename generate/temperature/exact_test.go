package temperature

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
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
			t.Errorf("T = %v: %v draws, SPEC section 5 says %v", T, got, want)
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
			e, err := NewExact(T, exampleK, 1_000_000)
			if err != nil {
				t.Fatal(err)
			}
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
	e, err := NewExact(.4, 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	draws := []int32{
		1, 2, // differ: again
		3, 3, // a candidate
		4, // u = .6 >= .5/1: go on
		5, // u = .2 < .5/2: again
		6, 6,
		7, // u = .5 >= .5/1
		6, // equal: accept
		9, // unused
	}
	decisions := []float64{.6, .2, .5}
	uniform := func() float64 {
		u := decisions[0]
		decisions = decisions[1:]
		return u
	}
	dst := make([]int32, 1)
	n, err := e.Sample(dst, func(first, _ int) ([]int32, error) { return draws[first:], nil }, uniform)
	if err != nil || n != 10 || dst[0] != 6 || len(decisions) != 0 {
		t.Errorf("%v after %d draws (%v), %d decisions left; want 6 after 10", dst, n, err, len(decisions))
	}
}

func TestExactBudget(t *testing.T) {
	e, err := NewExact(.3, 1, 500)
	if err != nil {
		t.Fatal(err)
	}
	uniform := rand.New(rand.NewPCG(1, 1)).Float64
	for _, size := range []int{0, 1, 64} {
		asked, next := 0, int32(0)
		n, err := e.Sample(make([]int32, 1), func(first, want int) ([]int32, error) {
			if size > 0 {
				want = size
			}
			asked = first + want
			ids := make([]int32, want)
			for i := range ids {
				next++
				ids[i] = next // never the same
			}
			return ids, nil
		}, uniform)
		var over *BudgetError
		if !errors.As(err, &over) || n != 500 || over.Draws != 500 || over.T != .3 {
			t.Errorf("size %d: %d draws, error %#v; want a BudgetError at 500", size, n, err)
			continue
		}
		if message := err.Error(); !strings.Contains(message, "500 draws at temperature 0.3") {
			t.Errorf("message %q", message)
		}
		if size == 0 && asked != 500 {
			t.Errorf("asked for %d draws, want no more than the budget", asked)
		}
	}
}

func TestDrawErrorIsReturned(t *testing.T) {
	broken := errors.New("the network is gone")
	draw := func(first, _ int) ([]int32, error) {
		if first > 0 {
			return nil, broken
		}
		return []int32{1}, nil
	}
	uniform := func() float64 { return 0 }
	exact, err := NewExact(.5, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := exact.Sample(make([]int32, 1), draw, uniform); err != broken || n != 1 {
		t.Errorf("exact: %d draws, error %v", n, err)
	}
	batch, err := NewBatch(.5, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := batch.Sample(make([]int32, 1), draw, uniform); err != broken {
		t.Errorf("batch: error %v", err)
	}
}

// A certain model takes no more draws than acceptance needs, in one call.
func TestExactAsksForLittle(t *testing.T) {
	for T, want := range map[float64]int{1: 1, .5: 2, .4: 3, .25: 4, .3: 4} {
		e, err := NewExact(T, 1, DefaultBudget)
		if err != nil {
			t.Fatal(err)
		}
		asked, calls := 0, 0
		_, err = e.Sample(make([]int32, 1), func(_, n int) ([]int32, error) {
			asked += n
			calls++
			return make([]int32, n), nil
		}, func() float64 { return .5 })
		if err != nil || asked != want || calls != 1 {
			t.Errorf("T = %v: %d draws in %d calls (%v), want %d in 1", T, asked, calls, err, want)
		}
	}
}

func BenchmarkExact(b *testing.B) {
	e, err := NewExact(.3, exampleK, 1_000_000)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	pool := make([]int32, 0, 2048)
	for range 1024 {
		x := symbol(rng, example)
		pool = append(pool, x, 10-x)
	}
	draw := func(int, int) ([]int32, error) {
		at := rng.IntN(960) * exampleK
		return pool[at : at+64*exampleK], nil
	}
	dst := make([]int32, exampleK)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Sample(dst, draw, rng.Float64); err != nil {
			b.Fatal(err)
		}
	}
}
