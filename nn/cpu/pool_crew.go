package cpu

import (
	"sync/atomic"
	"time"
)

// crew decides how many of a pool's threads work on regions. Each region ends when its last piece does, so on a core that
// another program uses too, a thread that is taken off it during a piece delays all others by a time slice, many times as
// long as the region. The crew adds up the time spent waiting and the time the workers saved. Where waiting cost more than
// one of them saved, it continues with one thread less, so that each may have a core to itself, and tries all of them
// again after a while. Results do not depend on the number of threads.
type crew struct {
	size    atomic.Int32 // threads that claim pieces, the caller's included
	threads int
	clock   func() time.Duration

	since   time.Duration // in regions since the last decision
	late    time.Duration // of that, waiting of the caller beyond the time of a piece
	brought time.Duration // saved by the workers: the time the caller would have taken for their pieces
	until   time.Duration // when all threads are tried again
	rest    time.Duration // how long the crew stays small the next time
}

const (
	crewWindow    = 4 * time.Millisecond // in regions between two decisions: a time slice of the system
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

// alone reports whether the caller should work alone, and ends that state when its time is over.
func (c *crew) alone() bool {
	if int(c.size.Load()) < c.threads && c.clock() >= c.until {
		c.size.Store(int32(c.threads))
	}
	return c.size.Load() == 1
}

// judge records a region of n pieces: the time in which the caller did own of them, and how long it waited then.
func (c *crew) judge(n, own int, worked, waited time.Duration) {
	c.since += worked + waited
	if own > 0 {
		piece := worked / time.Duration(own)
		c.late += max(waited-piece, 0)
		c.brought += piece * time.Duration(n-own)
	} // else the caller itself was taken off its core
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
