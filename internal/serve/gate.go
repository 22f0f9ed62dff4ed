package serve

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// gate bounds what the server does at once. A text that is being written holds a slot. A request waits in the queue until the
// first of its texts has one. Slots are given in the order in which texts ask for them.
type gate struct {
	slots chan struct{} // has an element for each slot that is held
	queue int           // requests that may wait beyond those for which a slot is free

	mu      sync.Mutex
	waiting int // requests in the queue
}

func newGate(streams, queue int) *gate {
	return &gate{slots: make(chan struct{}, streams), queue: queue}
}

// full returns the error of a request that comes when there are too many.
func (g *gate) full() *problem { return busyWith(g.busy()) }

func busyWith(streams, waiting int) *problem {
	return &problem{status: http.StatusTooManyRequests, kind: "rate_limit_error", code: "queue_full", retry: 2 * time.Second,
		message: "the server is busy: texts being written: " + strconv.Itoa(streams) + ", requests waiting: " + strconv.Itoa(waiting)}
}

// place is the place of a request in the queue.
type place struct {
	gate *gate
	left bool // guarded by gate.mu
}

// enter puts a request into the queue. The error says that the queue is full. The caller must call leave on the place.
func (g *gate) enter() (*place, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if free := cap(g.slots) - len(g.slots); g.waiting >= g.queue+free {
		return nil, busyWith(len(g.slots), g.waiting)
	}
	g.waiting++
	return &place{gate: g}, nil
}

// leave ends the waiting. It may be called again.
func (p *place) leave() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if !p.left {
		p.left = true
		p.gate.waiting--
	}
}

// take waits for a slot; with the first one the request leaves the queue. The caller must call free if it returns nil.
func (p *place) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case p.gate.slots <- struct{}{}:
		p.leave()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// free gives a slot back.
func (p *place) free() { <-p.gate.slots }

// busy returns how many slots are held, and how many requests wait.
func (g *gate) busy() (streams, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.slots), g.waiting
}
