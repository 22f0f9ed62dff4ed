package main

import (
	"fmt"
	"time"
)

// share says how much of some bytes is done and how long the rest will take.
type share struct {
	total int64
	now   func() time.Time
	start time.Time // of what tells the pace,
	from  int64     // and where that was
}

func newShare(total int64) *share { return &share{total: total, now: time.Now, start: time.Now()} }

// line describes that done bytes are done, of a total that is 0 where nobody knows it. What is skipped is so much faster than the rest that its pace says nothing.
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

// sizeOf prints a number of bytes.
func sizeOf(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f kB", float64(n)/1e3)
}
