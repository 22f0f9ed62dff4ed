package cpu

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/nn"
)

// prefixAttention attends from short rows to prefixes of shared contexts and to the rows' own keys. Rows of one context
// that follow each other are multiplied with its keys together, like the rows of Attention.
type prefixAttention struct {
	noBackward
	p               *Program
	q, k, v, y      *buf
	kp, vp          *buf
	context, length []int32
	r, t, h, kv, d  int
	contexts, n     int // n: positions of a context
	tiles           []prefixTile
	fwd             func(worker, i int)
}

// prefixTile is a range of queries, numbered r*T + t, of one context, at most attnBlock.
type prefixTile struct {
	lo, hi  int
	context int
	keys    int // of the longest prefix
}

func newPrefixAttention(c *compiler, op *nn.PrefixAttention) step {
	if c.training {
		panic("cpu: prefix attention has no gradient")
	}
	o := &prefixAttention{p: c.Program, q: c.read(op.Q), k: c.read(op.K), v: c.read(op.V), y: c.write(op.Y),
		kp: c.read(op.KPrefix), vp: c.read(op.VPrefix),
		context: c.ints[op.Context.Root().ID()], length: c.ints[op.Length.Root().ID()],
		r: op.Q.Dim(0), t: op.Q.Dim(1), h: op.Heads, kv: op.KVHeads, d: op.Q.Cols() / op.Heads,
		contexts: op.KPrefix.Dim(0), n: op.KPrefix.Dim(1)}
	o.tiles = make([]prefixTile, 0, o.r*((o.t+attnBlock-1)/attnBlock+1))
	o.fwd = o.forwardPiece
	return o
}

func (o *prefixAttention) forward() error {
	for r, c := range o.context {
		if c < -1 || int(c) >= o.contexts {
			return fmt.Errorf("prefix attention: row %d continues context %d of %d", r, c, o.contexts)
		}
		if l := o.length[r]; c >= 0 && (l < 0 || int(l) > o.n) {
			return fmt.Errorf("prefix attention: row %d continues %d positions of a context of %d", r, l, o.n)
		}
	}
	o.cut()
	o.p.eng.pool.run(len(o.tiles)*o.h, o.fwd)
	return nil
}

// cut makes tiles of the rows that are present.
func (o *prefixAttention) cut() {
	o.tiles = o.tiles[:0]
	width := o.h * o.d
	for r, c := range o.context {
		lo, end := r*o.t, (r+1)*o.t
		if c < 0 {
			clear(o.y.f[lo*width : end*width])
			continue
		}
		for lo < end {
			last := len(o.tiles) - 1
			if last < 0 || o.tiles[last].context != int(c) || o.tiles[last].hi != lo || lo-o.tiles[last].lo == attnBlock {
				o.tiles = append(o.tiles, prefixTile{lo: lo, hi: lo, context: int(c)})
				last++
			}
			tile := &o.tiles[last]
			tile.hi = min(end, tile.lo+attnBlock)
			tile.keys = max(tile.keys, int(o.length[r]))
			lo = tile.hi
		}
	}
}

func (o *prefixAttention) forwardPiece(worker, i int) {
	tile, h := o.tiles[i/o.h], i%o.h
	kvh := h / (o.h / o.kv)
	isa, s := o.p.eng.isa, newAttnScratch(o.p.eng.pool, worker)
	q, y := head(o.q.f, 1, o.r*o.t, o.h, o.d, 0, h), head(o.y.f, 1, o.r*o.t, o.h, o.d, 0, h)
	k, v := head(o.k.f, 1, o.r*o.t, o.kv, o.d, 0, kvh), head(o.v.f, 1, o.r*o.t, o.kv, o.d, 0, kvh)
	n := tile.hi - tile.lo
	s.begin(y, tile.lo, n, o.d)
	s.attendKeys(isa, q, head(o.kp.f, o.contexts, o.n, o.kv, o.d, tile.context, kvh), head(o.vp.f, o.contexts, o.n, o.kv, o.d, tile.context, kvh),
		y, tile.lo, n, tile.keys, o.d, func(i int) int { return int(o.length[(tile.lo+i)/o.t]) })
	for i := range n {
		at := tile.lo + i
		row := y.from(at)[:o.d]
		o.attendOwn(&s, i, q.from(at)[:o.d], k, v, at-at%o.t, at, row)
		s.finish(isa, i, row)
	}
}

// attendOwn adds the attention of query i of a tile to keys first .. last, which are its row's own.
func (o *prefixAttention) attendOwn(s *attnScratch, i int, q []float32, k, v headView, first, last int, y []float32) {
	isa := o.p.eng.isa
	scale := float32(1 / math.Sqrt(float64(o.d)))
	for ; first <= last; first += attnBlock {
		scores := s.scores[:min(attnBlock, last+1-first)]
		for j := range scores {
			scores[j] = isa.Dot(q, k.from(first + j)[:o.d])
		}
		s.softmaxRow(isa, i, scores, y, scale)
		for j, w := range scores {
			isa.Axpy(y, w, v.from(first + j)[:o.d])
		}
	}
}
