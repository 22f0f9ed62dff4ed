package bench

import (
	"context"
	"slices"
	"time"
)

// series is one thing to measure, and what is measured in turns with it.
type series struct {
	run   func() error
	peak  func(time.Duration) float64 // the ceiling to compare with, given the time it may take; nil for none
	reset func()                      // or nil; called before every turn, not measured

	times []float64 // ms, one a run
	peaks []float64
}

// Turns are short, so that what disturbs the machine disturbs a series and its ceiling alike. The ceiling takes a tenth of
// the time, within bounds.
const (
	turnTime  = 40 * time.Millisecond
	leastPeak = 4 * time.Millisecond
	mostPeak  = 200 * time.Millisecond
)

// measure gives each series one run to warm up and then turns, until each has had its time; it makes one run of each at
// least. It ends with ctx between runs.
func measure(ctx context.Context, each time.Duration, all ...*series) error {
	spent := make([]time.Duration, len(all))
	for _, s := range all {
		if err := ended(ctx); err != nil {
			return err
		}
		s.prepare()
		if err := s.run(); err != nil {
			return err
		}
	}
	for slices.Min(spent) < each {
		for i, s := range all {
			if spent[i] >= each { // its runs take longer than the others'
				continue
			}
			d, err := s.turn(ctx, each-spent[i])
			if err != nil {
				return err
			}
			spent[i] += d
		}
	}
	for i, s := range all {
		s.measurePeak(spent[i] / 10)
	}
	return nil
}

func (s *series) measurePeak(d time.Duration) {
	if s.peak != nil {
		s.peaks = append(s.peaks, s.peak(min(max(d, leastPeak), mostPeak)))
	}
}

func (s *series) prepare() {
	if s.reset != nil {
		s.reset()
	}
}

// turn measures the ceiling, then runs until the turn's time has passed, and returns what the turn took.
func (s *series) turn(ctx context.Context, left time.Duration) (time.Duration, error) {
	start := time.Now()
	s.measurePeak(time.Duration(median(s.times) / 10 * float64(time.Millisecond)))
	s.prepare()
	end := time.Now().Add(min(turnTime, left))
	for {
		if err := ended(ctx); err != nil {
			return 0, err
		}
		before := time.Now()
		if err := s.run(); err != nil {
			return 0, err
		}
		now := time.Now()
		s.times = append(s.times, milliseconds(now.Sub(before)))
		if !now.Before(end) {
			return max(now.Sub(start), 1), nil
		}
	}
}

// result fills in what every measurement has.
func (s *series) result(name, shape string, threads int, isa string) Result {
	return Result{Name: name, Shape: shape, Threads: threads, ISA: isa, MSMedian: median(s.times), Runs: len(s.times)}
}

// arithmetic adds the rates of runs of that many operations to r, peaks being FLOP/s.
func (r *Result) arithmetic(flops float64, peaks []float64) {
	r.FLOPs = flops
	r.GFLOPs = flops / r.MSMedian / 1e6
	if len(peaks) > 0 {
		r.PeakGFLOPs = median(peaks) / 1e9
		r.FractionOfPeak = r.GFLOPs / r.PeakGFLOPs
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median returns the median, 0 of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
