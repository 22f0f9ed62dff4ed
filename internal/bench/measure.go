package bench

import (
	"context"
	"slices"
	"time"
)

// series is a function to time, and the peak that is measured alternately with it.
type series struct {
	run   func() error
	peak  func(time.Duration) float64 // measures the peak for about the given time; nil for none
	reset func()                      // called before every turn, not timed; nil for none

	times []float64 // times of the runs, in ms
	peaks []float64 // measured peaks
}

// Turns are short, so that a disturbance of the machine affects a series and its peak alike. A tenth of the time goes to the
// peak, within bounds.
const (
	turnTime = 40 * time.Millisecond
	minPeak  = 4 * time.Millisecond
	maxPeak  = 200 * time.Millisecond
)

// measure runs each series once to warm up. Then the series take turns until each has had its time, with at least one run of
// each. It checks between runs whether ctx has ended.
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
			if spent[i] >= each { // a series with long runs can be done before the others
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
		s.peaks = append(s.peaks, s.peak(min(max(d, minPeak), maxPeak)))
	}
}

func (s *series) prepare() {
	if s.reset != nil {
		s.reset()
	}
}

// turn measures the peak, then runs until the turn's time has passed. It returns the time that the turn took.
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

// result returns a Result with the fields that all measurements have.
func (s *series) result(name, shape string, threads int, isa string) Result {
	return Result{Name: name, Shape: shape, Threads: threads, ISA: isa, MSMedian: median(s.times), Runs: len(s.times)}
}

// arithmetic sets the rates of r, for runs of so many FLOPs. peaks are in FLOP/s.
func (r *Result) arithmetic(flops float64, peaks []float64) {
	r.FLOPs = flops
	r.GFLOPs = flops / r.MSMedian / 1e6
	if len(peaks) > 0 {
		r.PeakGFLOPs = median(peaks) / 1e9
		r.FractionOfPeak = r.GFLOPs / r.PeakGFLOPs
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median returns the median, or 0 for no values.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
