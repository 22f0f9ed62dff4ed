package cpu

import (
	"testing"
	"time"
)

// crewAt returns a crew whose clock the test moves.
func crewAt(threads int, now *time.Duration) *crew {
	c := &crew{}
	c.init(threads)
	c.clock = func() time.Duration { return *now }
	return c
}

func TestCrewOfTwo(t *testing.T) {
	const us = time.Microsecond
	cases := []struct {
		name           string
		own            int // of 4 pieces
		worked, waited time.Duration
		alone          bool // is faster
	}{
		{"an even share", 2, 100 * us, 5 * us, false},
		{"the worker is slower", 3, 150 * us, 40 * us, false},
		{"a piece is held for a time slice", 3, 150 * us, 3000 * us, true},
		{"waiting takes longer than the worker's share would", 3, 150 * us, 101 * us, true},
		{"the worker never came", 4, 200 * us, 0, false},
		{"the caller was off its core", 0, 0, 300 * us, false},
	}
	for _, k := range cases {
		var now time.Duration
		c := crewAt(2, &now)
		for range 100 {
			if c.alone() {
				break
			}
			c.judge(4, k.own, k.worked, k.waited)
		}
		if got := c.alone(); got != k.alone {
			t.Errorf("%s: alone %t, want %t", k.name, got, k.alone)
		}
	}
}

// TestCrewTriesAgain: another process keeps the worker's core busy for a while, then stops.
func TestCrewTriesAgain(t *testing.T) {
	var now time.Duration
	c := crewAt(2, &now)
	late := func() {
		for !c.alone() {
			c.judge(4, 3, 30*time.Microsecond, 3*time.Millisecond)
		}
	}
	rest := func() time.Duration {
		start := now
		for c.alone() {
			now += time.Millisecond
		}
		return now - start
	}
	for want := crewRest; want < crewRestLimit; want *= 2 {
		late()
		if got := rest(); got != want {
			t.Fatalf("rested for %v, want %v", got, want)
		}
	}
	for range 3 {
		late()
		if got := rest(); got != crewRestLimit {
			t.Fatalf("rested for %v, want %v", got, crewRestLimit)
		}
	}
	for range 1000 {
		c.judge(4, 2, 100*time.Microsecond, 0)
	}
	late()
	if got := rest(); got != crewRest {
		t.Errorf("after regions without delays it rested for %v, want %v", got, crewRest)
	}
}

// TestCrewShrinksByOne: with one busy core among many, the crew loses one thread and keeps the others.
func TestCrewShrinksByOne(t *testing.T) {
	var now time.Duration
	c := crewAt(8, &now)
	for c.size.Load() == 8 {
		c.judge(16, 2, 100*time.Microsecond, 2*time.Millisecond)
	}
	if !c.has(6) || c.has(7) || c.alone() {
		t.Errorf("a crew of 8 went on with %d", c.size.Load())
	}
	for range 1000 {
		c.judge(16, 2, 100*time.Microsecond, 50*time.Microsecond)
	}
	if c.size.Load() != 7 {
		t.Errorf("a crew of 7 that works well went on with %d", c.size.Load())
	}
	now += crewRest
	if c.alone(); c.size.Load() != 8 {
		t.Errorf("after its rest the crew has %d threads", c.size.Load())
	}
}

// TestPoolLeavesLateWorkersOut runs regions with a worker that sleeps during its pieces, like one whose core is shared,
// and then with one that does not.
func TestPoolLeavesLateWorkersOut(t *testing.T) {
	p := newPool(2)
	defer p.close()
	work := func(d time.Duration) {
		for start := time.Now(); time.Since(start) < d; {
		}
	}
	late := func(worker, i int) {
		if worker != 0 {
			time.Sleep(5 * time.Millisecond)
		} else {
			work(20 * time.Microsecond)
		}
	}
	prompt := func(worker, i int) { work(20 * time.Microsecond) }
	until := func(what string, f func(worker, i int), size int32) {
		for start := time.Now(); p.crew.size.Load() != size; {
			p.run(8, f)
			if time.Since(start) > 20*time.Second {
				t.Fatalf("%s: %d threads work, want %d", what, p.crew.size.Load(), size)
			}
		}
	}
	until("late", late, 1)
	until("prompt", prompt, 2)
}

// BenchmarkPoolOnBusyCore measures regions of 8 pieces of 20 µs while another process takes the worker's core for 6 of
// every 9 ms: without the worker, with it, and with it while the crew makes no decisions.
func BenchmarkPoolOnBusyCore(b *testing.B) {
	begun := time.Now()
	f := func(worker, i int) {
		const taken, every = 6 * time.Millisecond, 9 * time.Millisecond
		for start := time.Now(); time.Since(start) < 20*time.Microsecond; {
		}
		if at := time.Since(begun) % every; worker != 0 && at < taken {
			time.Sleep(taken - at)
		}
	}
	for _, kind := range []string{"alone", "together", "unjudged"} {
		b.Run(kind, func(b *testing.B) {
			threads := 2
			if kind == "alone" {
				threads = 1
			}
			p := newPool(threads)
			defer p.close()
			if kind == "unjudged" {
				p.crew.clock = func() time.Duration { return 0 }
			}
			for b.Loop() {
				p.run(8, f)
			}
		})
	}
}
