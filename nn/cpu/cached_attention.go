package cpu

import (
	"fmt"
	"math"
	"slices"

	"github.com/calm-go/calm/nn"
)

// cachedAttention appends keys and values to slots of a cache and attends to all of each.
type cachedAttention struct {
	noBackward
	p              *Program
	q, k, v, y     *buf
	kc, vc         *buf
	slot, start    []int32
	b, t, h, kv, d int
	slots, n       int // n: a slot's capacity
	blocks         int
	fwd            func(worker, i int)
}

func newCachedAttention(c *compiler, op *nn.CachedAttention) step {
	if c.training {
		panic("cpu: cached attention has no gradient")
	}
	o := &cachedAttention{p: c.Program, q: c.read(op.Q), k: c.read(op.K), v: c.read(op.V), y: c.write(op.Y),
		kc: c.value(op.KCache), vc: c.value(op.VCache), slot: c.ints[op.Slot.Root().ID()], start: c.ints[op.Start.Root().ID()],
		b: op.Q.Dim(0), t: op.Q.Dim(1), h: op.Heads, kv: op.KVHeads, d: op.Q.Cols() / op.Heads,
		slots: op.KCache.Dim(0), n: op.KCache.Dim(1)}
	o.blocks = (o.t + attnBlock - 1) / attnBlock
	o.fwd = o.forwardPiece
	return o
}

func (o *cachedAttention) forward() error {
	if err := o.check(); err != nil {
		return err
	}
	width := o.kv * o.d
	for b, s := range o.slot {
		if s < 0 {
			continue
		}
		at, from, n := (int(s)*o.n+int(o.start[b]))*width, b*o.t*width, o.t*width
		copy(o.kc.f[at:at+n], o.k.f[from:from+n])
		copy(o.vc.f[at:at+n], o.v.f[from:from+n])
	}
	o.p.eng.pool.run(o.b*o.h*o.blocks, o.fwd)
	return nil
}

// check fails for slots and starts that do not fit the cache.
func (o *cachedAttention) check() error {
	for b, s := range o.slot {
		start := o.start[b]
		switch {
		case s == -1:
		case s < 0 || int(s) >= o.slots:
			return fmt.Errorf("attention: row %d has slot %d of %d", b, s, o.slots)
		case slices.Contains(o.slot[:b], s):
			return fmt.Errorf("attention: row %d has slot %d, which an earlier row has too", b, s)
		case start < 0 || int(start)+o.t > o.n:
			return fmt.Errorf("attention: positions %d to %d of row %d do not fit a cache of %d", start, int(start)+o.t-1, b, o.n)
		}
	}
	return nil
}

func (o *cachedAttention) forwardPiece(worker, i int) {
	block, bh := o.blocks-1-i/(o.b*o.h), i%(o.b*o.h)
	b, h := bh/o.h, bh%o.h
	kvh := h / (o.h / o.kv)
	y, lo := head(o.y.f, o.b, o.t, o.h, o.d, b, h), block*attnBlock
	hi, slot, start := min(lo+attnBlock, o.t), int(o.slot[b]), int(o.start[b])
	if slot < 0 {
		for r := lo; r < hi; r++ {
			clear(y.from(r)[:o.d])
		}
		return
	}
	q := head(o.q.f, o.b, o.t, o.h, o.d, b, h)
	k, v := head(o.kc.f, o.slots, o.n, o.kv, o.d, slot, kvh), head(o.vc.f, o.slots, o.n, o.kv, o.d, slot, kvh)
	if o.t == 1 {
		o.attendOne(worker, q, k, v, y, start+1)
		return
	}
	attend(o.p.eng.isa, newAttnScratch(o.p.eng.pool, worker), q, k, v, y, lo, hi, start, o.d, nil)
}

// attendOne is attention of a single row to n keys.
func (o *cachedAttention) attendOne(worker int, q, k, v, y headView, n int) {
	isa, d := o.p.eng.isa, o.d
	scores := o.p.eng.pool.scratchAtLeast(worker, n)[:n]
	scale := float32(1 / math.Sqrt(float64(d)))
	for s := range scores {
		scores[s] = scale * isa.Dot(q.f[:d], k.from(s)[:d])
	}
	sum := isa.ExpSum(scores, scores, isa.Max(scores))
	out := y.f[:d]
	clear(out)
	for s, w := range scores {
		isa.Axpy(out, w/sum, v.from(s)[:d])
	}
}
