package main

import (
	"fmt"
	"time"
)

// share describes the progress through a number of bytes, and estimates the time left.
type share struct {
	total int64            // bytes in all; 0 where it is not known
	now   func() time.Time // the clock
	start time.Time        // the speed is measured from this time
	from  int64            // bytes done at start
}

func newShare(total int64) *share { return &share{total: total, now: time.Now, start: time.Now()} }

// line describes the progress after done bytes. Skipped bytes do not count for the speed: they are much faster than others.
func (s *share) line(done int64, skipped bool) string {
	if s.total == 0 {
		return sizeOf(done) + " read"
	}
	percent := 100 * float64(done) / float64(s.total)
	text := fmt.Sprintf("%.1f %% of %s", min(percent, 100), sizeOf(s.total))
	now := s.now()
	if skipped {
		s.start, s.from = now, done
		return text
	}
	took := now.Sub(s.start)
	if done <= s.from || took < time.Second {
		return text
	}
	left := time.Duration(float64(took) * float64(s.total-done) / float64(done-s.from))
	return text + ", " + max(left, 0).Round(time.Second).String() + " left"
}

// sizeOf formats a number of bytes.
func sizeOf(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f kB", float64(n)/1e3)
}
