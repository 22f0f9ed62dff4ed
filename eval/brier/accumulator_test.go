package brier

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every position has the same weight, not every block.
func TestAccumulatorMean(t *testing.T) {
	var a Accumulator
	a.Add(7, Score{.5, .5, .5, .5})
	for range 3 {
		a.Add(2, Score{.1, .1, .1, .1})
	}
	a.Add(7, Score{.7, .7, .7, .7})
	r := a.Result(1)
	for n, b := range r.Brier {
		if math.Abs(b-30) > 1e-12 {
			t.Errorf("Brier-%d %v, want 30", n+1, b)
		}
	}
	if math.Abs(float64(r.BrierLM)-30) > 1e-12 || !r.Measurable || r.Positions != 5 || r.Blocks != 2 {
		t.Errorf("%+v: want BrierLM 30, measurable, 5 positions in 2 blocks", r)
	}
}

func TestAccumulatorNotMeasurable(t *testing.T) {
	var a Accumulator
	for i := range 100 {
		a.Add(i, Score{.5, .3, .1, float64(i%2)*2 - 1.02})
	}
	r := a.Result(1)
	if !math.IsNaN(float64(r.BrierLM)) || r.Measurable {
		t.Errorf("Brier-4 is %v, BrierLM %v, measurable %v: want NaN, false", r.Brier[3], r.BrierLM, r.Measurable)
	}
	if in := r.BrierLMInterval; in.Lo != 0 || in.Hi <= 0 {
		t.Errorf("interval %v: want it to start at 0 and to allow for a positive score", in)
	}
}

// Without data and with one unit, the intervals are the whole range, and the
// result can be written as JSON.
func TestAccumulatorWithoutEvidence(t *testing.T) {
	whole := [N]Interval{{-100, 100}, {-100, 100}, {-100, 100}, {-100, 100}}
	var a Accumulator
	for i := range 2 {
		r := a.Result(1)
		if r.BrierInterval != whole || r.BrierLMInterval != (Interval{0, 100}) {
			t.Errorf("%d positions: intervals %v, %v: want the whole range", i, r.BrierInterval, r.BrierLMInterval)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
		a.Add(0, Score{.5, .5, .5, .5})
	}
}

// A BrierLM that is not measurable is NaN, and null as JSON. Both directions keep it apart from a measured 0.
func TestPercentJSON(t *testing.T) {
	for _, c := range []struct {
		value Percent
		text  string
	}{{12.5, "12.5"}, {0, "0"}, {Percent(math.NaN()), "null"}} {
		text, err := json.Marshal(Result{BrierLM: c.value})
		var m map[string]json.RawMessage
		if err = errors.Join(err, json.Unmarshal(text, &m)); err != nil || string(m["brier_lm"]) != c.text {
			t.Errorf("%v is written as %s, %v; want %s", c.value, m["brier_lm"], err, c.text)
		}
		back := Result{BrierLM: 7}
		if err := json.Unmarshal(text, &back); err != nil || fmt.Sprint(back.BrierLM) != fmt.Sprint(c.value) {
			t.Errorf("%s is read as %v, %v", text, back.BrierLM, err)
		}
	}
	var p Percent
	if err := json.Unmarshal([]byte(`"high"`), &p); err == nil {
		t.Error("a string is read as a score")
	}
}

// fill adds blocks of scores. Every stretch of positions has a different mean,
// with noise around it.
func fill(a *Accumulator, rng *rand.Rand, blocks, positions, stretch int, between float64) {
	for b := range blocks {
		shift := 0.0
		for i := range positions {
			if i%stretch == 0 {
				shift = between * rng.NormFloat64()
			}
			var s Score
			for n := range s {
				s[n] = .4/float64(n+1) + shift + .3*rng.NormFloat64()
			}
			a.Add(b, s)
		}
	}
}

func TestIntervalsAreDeterministic(t *testing.T) {
	var a, same Accumulator
	fill(&a, rand.New(rand.NewPCG(1, 1)), 30, 40, 40, .05)
	fill(&same, rand.New(rand.NewPCG(1, 1)), 30, 40, 40, .05)
	want := a.Result(5)
	if d := cmp.Diff(want, a.Result(5)); d != "" {
		t.Errorf("asked twice:\n%s", d)
	}
	if d := cmp.Diff(want, same.Result(5)); d != "" {
		t.Errorf("added twice:\n%s", d)
	}
	if cmp.Equal(want, a.Result(6)) {
		t.Error("another seed gives the same intervals")
	}
	same.Reset()
	if r := same.Result(5); r.Positions != 0 || r.Blocks != 0 {
		t.Errorf("after Reset %d positions in %d blocks", r.Positions, r.Blocks)
	}
}

// 95 % intervals cover the true value about that often, both over blocks that
// differ and over a single block whose stretches differ. A bootstrap over smaller
// units would cover it in about half of the experiments.
func TestIntervalsCover(t *testing.T) {
	const experiments = 200
	truth := Score{.4, .2, .4 / 3, .1}.Result()
	for _, c := range []struct {
		name                       string
		blocks, positions, stretch int
	}{{"blocks", 40, 3 * RunLength, 3 * RunLength}, {"runs", 1, 40 * RunLength, RunLength / 2}} {
		rng := rand.New(rand.NewPCG(11, 12))
		var brier, lm int
		var a Accumulator
		for i := range experiments {
			a.Reset()
			fill(&a, rng, c.blocks, c.positions, c.stretch, .2)
			r := a.Result(uint64(i))
			if in := r.BrierInterval[0]; in.Lo <= truth.Brier[0] && truth.Brier[0] <= in.Hi {
				brier++
			}
			if in := r.BrierLMInterval; in.Lo <= float64(truth.BrierLM) && float64(truth.BrierLM) <= in.Hi {
				lm++
			}
		}
		// 95 % of 200 is 190 with a standard deviation of 3; percentile intervals
		// from 40 units are a little narrow.
		for what, covered := range map[string]int{"Brier-1": brier, "BrierLM": lm} {
			if covered < 178 || covered > 199 {
				t.Errorf("%s: %s lies within %d of %d intervals", c.name, what, covered, experiments)
			}
		}
	}
}

// The bootstrap's width for one Brier-n is known: 2 * 1.96 standard errors.
func TestIntervalWidth(t *testing.T) {
	var a Accumulator
	const blocks = 400
	for b := range blocks {
		v := float64(b%2) * .2 // standard deviation .1
		a.Add(b, Score{v, v, v, v})
	}
	in := a.Result(3).BrierInterval[0]
	want := 2 * 1.96 * 100 * .1 / math.Sqrt(blocks)
	if got := in.Hi - in.Lo; math.Abs(got-want) > .1*want {
		t.Errorf("width %v, want about %v", got, want)
	}
}

func TestAccumulatorDoesNotAllocate(t *testing.T) {
	var a Accumulator
	add := func() {
		a.Reset()
		for i := range 10 * RunLength {
			a.Add(i/100, Score{1, 1, 1, 1})
		}
	}
	add()
	if n := testing.AllocsPerRun(10, add); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAccumulator(b *testing.B) {
	var a Accumulator
	for i := range 1000 {
		a.Add(i/128, Score{})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%1000 == 0 {
			a.Reset()
		}
		a.Add(i%1000/128, Score{.4, .3, .2, .1})
	}
}

// The WikiText-103 test set in blocks of 2048 Llama-3 tokens.
func BenchmarkResult(b *testing.B) {
	var a Accumulator
	fill(&a, rand.New(rand.NewPCG(1, 1)), 141, 511, 511, .05)
	for b.Loop() {
		a.Result(1)
	}
}
