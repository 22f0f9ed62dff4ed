package cpu

import (
	"sync/atomic"
	"time"
)

// crew decides how many of a pool's threads work on regions. Each region ends when its last piece does, so on a core that
// another program shares, a thread that is taken off amid a piece holds up all others for a time slice, many times as
// long as the region. The crew adds up what waiting cost and what the workers brought; where it cost more than one of them
// brought, it goes on with one less, so that each may have a core to itself, and tries all of them again after a while.
// Results do not depend on the number of threads, so nobody but the clock can tell.
type crew struct {
	size    atomic.Int32 // threads that claim pieces, the caller's included
	threads int
	clock   func() time.Duration

	since   time.Duration // in regions since the last verdict
	late    time.Duration // of that, the caller waited for longer than a piece takes
	brought time.Duration // by the workers: what their pieces would have taken the caller
	until   time.Duration // when all threads are tried again
	rest    time.Duration // until then, the next time
}

const (
	crewWindow    = 4 * time.Millisecond // in regions between two verdicts: a time slice of the system
	crewRest      = 8 * time.Millisecond // how long a crew stays small at first; each failure doubles it, each success halves it
	crewRestLimit = 256 * time.Millisecond
)

func (c *crew) init(threads int) {
	start := time.Now()
	c.threads, c.rest, c.clock = threads, crewRest, func() time.Duration { return time.Since(start) }
	c.size.Store(int32(threads))
}

// has reports whether a thread belongs to the crew.
func (c *crew) has(worker int) bool { return worker < int(c.size.Load()) }

// alone reports whether the caller should work without others, and ends that when its time has come.
func (c *crew) alone() bool {
	if int(c.size.Load()) < c.threads && c.clock() >= c.until {
		c.size.Store(int32(c.threads))
	}
	return c.size.Load() == 1
}

// judge takes note of a region of n pieces, of which the caller did its own in the time worked and then waited.
func (c *crew) judge(n, own int, worked, waited time.Duration) {
	c.since += worked + waited
	if own > 0 {
		piece := worked / time.Duration(own)
		c.late += max(waited-piece, 0)
		c.brought += piece * time.Duration(n-own)
	} // else the caller was off its core itself
	if c.since < crewWindow {
		return
	}
	size := c.size.Load()
	if c.late*time.Duration(size-1) > c.brought {
		c.size.Store(size - 1)
		c.until = c.clock() + c.rest
		c.rest = min(2*c.rest, crewRestLimit)
	} else if int(size) == c.threads {
		c.rest = max(c.rest/2, crewRest)
	}
	c.since, c.late, c.brought = 0, 0, 0
}
