package brier

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// RunLength is the number of successive positions of a block that form one
	// unit of the bootstrap where there are fewer than MinBlocks blocks.
	RunLength = 32

	// MinBlocks is the smallest number of blocks for which the bootstrap
	// resamples whole blocks. Percentile intervals from fewer are too narrow.
	MinBlocks = 20

	// Resamples is the number of the bootstrap's resamples.
	Resamples = 2000
)

// Percent is a score in percent. NaN means that the score is not measurable. As
// JSON it is a number, or null for NaN.
type Percent float64

// MarshalJSON writes the number, or null for NaN.
func (p Percent) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(p)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(p))
}

// UnmarshalJSON reads a number. null becomes NaN.
func (p *Percent) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*p = Percent(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(p))
}

// Interval is a 95 % confidence interval of a score in percent: Lo <= Hi. The
// ends of an interval of Brier-n are in [-100, 200], those of BrierLM in
// [0, 200]. (Estimates can exceed 100, where exact scores and expectations
// cannot: see [Score].)
type Interval struct {
	Lo float64 `json:"lo"` // the lower end, in percent
	Hi float64 `json:"hi"` // the upper end, in percent
}

// Result holds measured scores, in percent: a perfect model has 100.
type Result struct {
	Brier           [N]float64  `json:"brier"`             // Brier-1..4, means over all positions; expected in [-100, 100]
	BrierInterval   [N]Interval `json:"brier_interval"`    // intervals of Brier
	BrierLM         Percent     `json:"brier_lm"`          // expected in [0, 100]; NaN if not Measurable, null as JSON
	BrierLMInterval Interval    `json:"brier_lm_interval"` // interval of BrierLM
	Measurable      bool        `json:"measurable"`        // every Brier-n is positive
	Positions       int         `json:"positions"`         // number of positions scored
	Blocks          int         `json:"blocks"`            // number of blocks with scored positions
}

// Result returns an exact score as a Result: in percent, with intervals of zero
// width, and Positions and Blocks 0. Where BrierLM is not measurable, its
// interval is [0, 0].
func (s Score) Result() Result {
	var r Result
	for j, b := range s {
		r.Brier[j] = 100 * b
		r.BrierInterval[j] = Interval{r.Brier[j], r.Brier[j]}
	}
	percent, measurable := s.LM()
	r.BrierLM, r.Measurable = Percent(percent), measurable
	if !measurable {
		r.BrierLM = Percent(math.NaN())
	}
	r.BrierLMInterval = Interval{percent, percent}
	return r
}

// Accumulator averages scores over all positions of all blocks. Every position
// has the same weight. The zero value is ready for use. It grows by 48 bytes
// every RunLength positions; Reset keeps its memory.
type Accumulator struct {
	runs []run // in the order in which they were added
}

// run sums successive positions of one block.
type run struct {
	block     int
	positions int
	sum       Score
}

// Add adds the next position of a block. Positions should be added in order, one
// block after another; the intervals depend on the order, the scores do not.
func (a *Accumulator) Add(block int, s Score) {
	last := len(a.runs) - 1
	if last < 0 || a.runs[last].block != block || a.runs[last].positions == RunLength {
		a.runs = append(a.runs, run{block: block})
		last++
	}
	r := &a.runs[last]
	r.positions++
	for j := range s {
		r.sum[j] += s[j]
	}
}

// Reset empties the accumulator and keeps its memory.
func (a *Accumulator) Reset() { a.runs = a.runs[:0] }

// Result returns the scores and their intervals.
//
// The intervals are percentiles of a bootstrap. It resamples whole blocks, since
// adjacent positions are correlated. With fewer than MinBlocks blocks it
// resamples runs of RunLength positions, which accounts only for the correlation
// within a run. (A block's last run may be shorter.) The intervals cover the
// randomness of the samples and of the text. The same additions and the same
// seed give the same intervals.
//
// With fewer than two units there is nothing to resample. The intervals are then
// the whole range of expectations: -100 to 100, and 0 to 100 for BrierLM.
//
// In the interval of BrierLM a resample that is not measurable counts as 0. So
// the interval starts at 0 where one resample in 40 is not measurable.
func (a *Accumulator) Result(seed uint64) Result {
	blocks := a.blocks()
	units := blocks
	if len(blocks) < MinBlocks {
		units = a.runs
	}
	var total run
	for _, u := range units {
		total.add(u)
	}
	r := total.mean().Result()
	r.Positions = total.positions
	r.Blocks = len(blocks)
	r.BrierInterval, r.BrierLMInterval = bootstrap(units, seed)
	return r
}

// blocks returns the sums of whole blocks, in the order of their numbers.
func (a *Accumulator) blocks() []run {
	sorted := slices.Clone(a.runs)
	slices.SortStableFunc(sorted, func(x, y run) int { return x.block - y.block })
	var blocks []run
	for _, r := range sorted {
		if last := len(blocks) - 1; last >= 0 && blocks[last].block == r.block {
			blocks[last].add(r)
		} else {
			blocks = append(blocks, r)
		}
	}
	return blocks
}

func (r *run) add(other run) {
	r.positions += other.positions
	for j := range r.sum {
		r.sum[j] += other.sum[j]
	}
}

// mean returns the mean score of the positions, all 0 if there are none.
func (r *run) mean() Score {
	var s Score
	if r.positions == 0 {
		return s
	}
	for j := range s {
		s[j] = r.sum[j] / float64(r.positions)
	}
	return s
}

// bootstrap returns percentile intervals, in percent. Units differ in length, so
// a resample's mean is its sum over its number of positions.
func bootstrap(units []run, seed uint64) (brier [N]Interval, lm Interval) {
	if len(units) < 2 {
		for j := range brier {
			brier[j] = Interval{-100, 100}
		}
		return brier, Interval{0, 100}
	}
	const stream = 0x6272696572 // makes these draws independent of other uses of the seed
	rng := rand.New(rand.NewPCG(seed, stream))
	var values [N + 1][]float64
	for range Resamples {
		var sample run
		for range units {
			sample.add(units[rng.IntN(len(units))])
		}
		mean := sample.mean()
		for j, b := range mean {
			values[j] = append(values[j], 100*b)
		}
		percent, _ := mean.LM()
		values[N] = append(values[N], percent)
	}
	for j := range brier {
		brier[j] = central95(values[j])
	}
	return brier, central95(values[N])
}

// central95 returns the 2.5 % and 97.5 % quantiles, interpolated between order
// statistics. It sorts its argument.
func central95(values []float64) Interval {
	slices.Sort(values)
	quantile := func(q float64) float64 {
		at := q * float64(len(values)-1)
		i := int(at)
		if i+1 == len(values) {
			return values[i]
		}
		return values[i] + (at-float64(i))*(values[i+1]-values[i])
	}
	return Interval{quantile(.025), quantile(.975)}
}
