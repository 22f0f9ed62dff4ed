package cpu

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/calm-go/calm/internal/kernel"
)

// pool runs parallel regions on persistent threads. A training step has hundreds of regions of 10 to 200 µs, so workers
// look for the next one for a while before they sleep. The machine may be shared, so a region never waits for a worker
// that has not started: pieces are claimed one at a time, by the caller too.
//
// If the system takes a worker off its core during a piece, the caller spins briefly and then sleeps, which frees a core
// for the worker. Where such waiting costs more than the workers save, regions run on fewer threads for a while, see
// [crew].
type pool struct {
	threads int
	crew    crew
	scratch []scratch // one for each thread, see [pool.scratchOf]
	shared  []float32 // partial sums of a product, see [pool.shareAtLeast]
	workers []worker

	// The region. f and n are written before left is raised from 0, and read only by a thread that has claimed a piece,
	// which keeps the region open.
	f      func(worker, i int)
	n      int
	_      [64]byte
	left   atomic.Int64 // pieces not claimed yet
	_      [56]byte
	done   atomic.Int64 // pieces finished
	_      [56]byte
	asleep atomic.Bool // the caller sleeps on wake
	failed atomic.Pointer[workerPanic]
	wake   chan struct{}
	closed atomic.Bool
	exit   sync.WaitGroup
}

type worker struct {
	asleep atomic.Bool // the thread that sets it to false sends on wake
	wake   chan struct{}
	_      [48]byte
}

// spinTime is how long a thread looks for work before it sleeps: above the serial gaps between the regions of a step,
// and too short to matter to other programs.
const spinTime = 50 * time.Microsecond

// newPool starts a pool of threads, the caller's included.
func newPool(threads int) *pool {
	threads = max(threads, 1)
	p := &pool{threads: threads, wake: make(chan struct{}, 1)}
	p.crew.init(threads)
	p.scratch = make([]scratch, threads)
	for w := range threads {
		p.scratchOf(w)
	}
	p.workers = make([]worker, threads) // the caller's stays unused
	for w := 1; w < threads; w++ {
		p.workers[w].wake = make(chan struct{}, 1)
		p.exit.Add(1)
		go p.serve(w)
	}
	return p
}

// close ends the threads and waits for them.
func (p *pool) close() {
	p.closed.Store(true)
	p.crew.size.Store(int32(p.threads))
	p.wakeWorkers(p.threads)
	p.exit.Wait()
}

// run calls f(worker, i) once for every i in [0, n), worker in [0, threads) naming the thread, and returns when all calls
// have returned. It allocates nothing. A panic in f skips the calls not begun and comes out of run. Not reentrant.
func (p *pool) run(n int, f func(worker, i int)) {
	if n <= 1 || p.threads == 1 || p.crew.alone() {
		for i := range n {
			f(0, i)
		}
		return
	}
	p.f, p.n = f, n
	p.done.Store(0)
	p.left.Store(int64(n))
	p.wakeWorkers(n - 1)
	start := p.crew.clock()
	own := p.claim(0)
	claimed := p.crew.clock()
	if p.wait(int64(n)) {
		p.crew.judge(n, own, claimed-start, p.crew.clock()-claimed)
	} else {
		p.crew.judge(n, own, claimed-start, 0)
	}
	p.f = nil
	if e := p.failed.Load(); e != nil {
		p.failed.Store(nil)
		panic(e)
	}
}

// wakeWorkers wakes up to n of the workers that sleep and belong to the crew.
func (p *pool) wakeWorkers(n int) {
	for w := 1; w <= n && p.crew.has(w); w++ {
		if k := &p.workers[w]; k.asleep.Load() && k.asleep.CompareAndSwap(true, false) {
			k.wake <- struct{}{}
		}
	}
}

// claim takes pieces until none is left and returns how many it took.
func (p *pool) claim(worker int) (pieces int) {
	for p.crew.has(worker) {
		left := p.left.Load()
		if left <= 0 {
			break
		}
		if !p.left.CompareAndSwap(left, left-1) {
			continue
		}
		n := int64(p.n)
		p.piece(worker, int(n-left))
		pieces++
		if p.done.Add(1) == n && worker != 0 && p.asleep.CompareAndSwap(true, false) {
			p.wake <- struct{}{}
		}
	}
	return pieces
}

func (p *pool) piece(worker, i int) {
	if p.failed.Load() != nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			p.failed.CompareAndSwap(nil, &workerPanic{r, debug.Stack()})
		}
	}()
	p.f(worker, i)
}

// wait returns when n pieces are done, and says whether that took any time.
func (p *pool) wait(n int64) bool {
	ready := func() bool { return p.done.Load() == n }
	if glance(ready) {
		return false
	}
	if spin(ready) {
		return true
	}
	for {
		p.asleep.Store(true)
		if ready() && p.asleep.CompareAndSwap(true, false) {
			return true
		}
		<-p.wake
		// A thread that finished the region before, and was delayed since, may have sent this.
		if ready() {
			return true
		}
	}
}

// serve is the life of a worker.
func (p *pool) serve(w int) {
	defer p.exit.Done()
	k := &p.workers[w]
	ready := func() bool { return p.left.Load() > 0 && p.crew.has(w) || p.closed.Load() }
	for !p.closed.Load() {
		p.claim(w)
		if glance(ready) || spin(ready) {
			continue
		}
		k.asleep.Store(true)
		if ready() && k.asleep.CompareAndSwap(true, false) {
			continue
		}
		<-k.wake
	}
}

// glance waits for ready for about a microsecond and says whether it came.
func glance(ready func() bool) bool {
	for range 64 {
		if ready() {
			return true
		}
		kernel.Pause()
	}
	return false
}

// spin waits for ready for about spinTime and says whether it came.
func spin(ready func() bool) bool {
	for start := time.Now(); time.Since(start) < spinTime; {
		for range 32 {
			if ready() {
				return true
			}
			kernel.Pause()
		}
	}
	return ready()
}

// workerPanic is what [pool.run] panics with when a piece did.
type workerPanic struct {
	value any
	stack []byte
}

func (e *workerPanic) Error() string {
	return fmt.Sprintf("%v\n\nin a worker of the pool:\n%s", e.value, e.stack)
}

// Unwrap returns the panic's value if it was an error.
func (e *workerPanic) Unwrap() error {
	err, _ := e.value.(error)
	return err
}
