package cpu

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/nn"
)

// cachedAttention appends keys and values to a cache and attends to all of it.
type cachedAttention struct {
	noBackward
	p                 *Program
	q, k, v, y        *buf
	kc, vc            *buf
	start             []int32
	b, t, h, kv, d, n int // n: the cache's capacity
	blocks            int
	fwd               func(worker, i int)
}

func newCachedAttention(c *compiler, op *nn.CachedAttention) step {
	if c.training {
		panic("cpu: cached attention has no gradient")
	}
	o := &cachedAttention{p: c.Program, q: c.read(op.Q), k: c.read(op.K), v: c.read(op.V), y: c.write(op.Y),
		kc: c.value(op.KCache), vc: c.value(op.VCache), start: c.ints[op.Start.Root().ID()],
		b: op.Q.Dim(0), t: op.Q.Dim(1), h: op.Heads, kv: op.KVHeads, d: op.Q.Cols() / op.Heads, n: op.KCache.Dim(1)}
	o.blocks = (o.t + attnBlock - 1) / attnBlock
	o.fwd = o.forwardPiece
	return o
}

func (o *cachedAttention) forward() error {
	width := o.kv * o.d
	for b, s := range o.start {
		if s < 0 || int(s)+o.t > o.n {
			return fmt.Errorf("attention: positions %d to %d of row %d do not fit a cache of %d", s, int(s)+o.t-1, b, o.n)
		}
		at, from, n := (b*o.n+int(s))*width, b*o.t*width, o.t*width
		copy(o.kc.f[at:at+n], o.k.f[from:from+n])
		copy(o.vc.f[at:at+n], o.v.f[from:from+n])
	}
	o.p.eng.pool.run(o.b*o.h*o.blocks, o.fwd)
	return nil
}

func (o *cachedAttention) forwardPiece(worker, i int) {
	block, bh := o.blocks-1-i/(o.b*o.h), i%(o.b*o.h)
	b, h := bh/o.h, bh%o.h
	kvh := h / (o.h / o.kv)
	q, y := head(o.q.f, o.b, o.t, o.h, o.d, b, h), head(o.y.f, o.b, o.t, o.h, o.d, b, h)
	k, v := head(o.kc.f, o.b, o.n, o.kv, o.d, b, kvh), head(o.vc.f, o.b, o.n, o.kv, o.d, b, kvh)
	if o.t == 1 {
		o.attendOne(worker, q, k, v, y, int(o.start[b])+1)
		return
	}
	lo := block * attnBlock
	attend(o.p.eng.isa, newAttnScratch(o.p.eng.pool, worker), q, k, v, y, lo, min(lo+attnBlock, o.t), int(o.start[b]), o.d, nil)
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
