// Package cpu is calm's default engine: it compiles a graph of package nn into a list of steps over memory planned
// once, and runs it on a pool of worker threads. A run allocates nothing.
//
// Results depend on the graph, the values and the instruction set, never on the number of threads: work is cut by
// shape, and what is summed across pieces is summed in the order of the pieces.
package cpu

import (
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/calm-go/calm/internal/kernel"
)

// Options say what an engine runs on. The zero value takes all processors and the best instruction set.
type Options struct {
	Threads int // number of threads, the caller's included, at most MaxThreads; 0 for GOMAXPROCS
	ISA     ISA // instruction set, one of ISAs; the zero value for the best
}

// MaxThreads is the largest number of threads. No machine has use for more, so a larger number is a typing error.
const MaxThreads = 1024

// Engine compiles graphs and owns the threads they run on. It runs one program at a time: an Engine and its programs
// are not safe for concurrent use.
type Engine struct {
	*machine
	streams int // that the rows of a product belong to
}

// machine is what an engine shares with its views for several streams.
type machine struct {
	pool      *pool
	closed    atomic.Bool
	isa       kernel.ISA
	threads   int
	ropes     map[ropeKey]*rope
	sinusoids map[int]*sinusoids // by width
}

// New starts an engine. Close it to stop its threads.
func New(o Options) *Engine {
	m := &machine{isa: o.ISA.kernels(), threads: o.Threads, ropes: map[ropeKey]*rope{}, sinusoids: map[int]*sinusoids{}}
	if m.threads <= 0 {
		m.threads = runtime.GOMAXPROCS(0)
	}
	m.threads = min(m.threads, MaxThreads)
	m.pool = newPool(m.threads)
	return &Engine{m, 1}
}

// ErrClosed is returned by programs that are run after their engine was closed.
var ErrClosed = errors.New("the engine is closed")

// Close stops the engine's threads. Its programs cannot run any more: they return ErrClosed. Closing again does nothing.
func (e *Engine) Close() {
	if !e.closed.Swap(true) {
		e.pool.close()
	}
}

// Threads returns the number of threads, the caller's included.
func (e *Engine) Threads() int { return e.threads }

// ISA returns the instruction set that the engine computes with. It is never the zero value.
func (e *Engine) ISA() ISA { return ISA{true, e.isa} }
