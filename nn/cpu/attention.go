package cpu

import (
	"math"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/nn"
)

// attnBlock is the number of rows, and of keys, of the block of scores that is in memory at a time.
const attnBlock = 64

// headView is one head of a [batch, T, heads*d] tensor: row t starts at f[t*ld].
type headView struct {
	f  []float32
	ld int
}

func head(f []float32, batch, t, heads, d, b, h int) headView {
	ld := heads * d
	at := b*t*ld + h*d
	return headView{f[at : at+(t-1)*ld+d], ld}
}

func (v headView) from(row int) []float32 { return v.f[row*v.ld:] }

// attnScratch is the memory of one thread for a head.
type attnScratch struct {
	pack   []float32 // for products
	scores []float32 // [attnBlock, attnBlock]
	grads  []float32 // likewise
	sum    []float32 // [attnBlock]
	peak   []float32 // [attnBlock]
}

func newAttnScratch(p *pool, worker int) attnScratch {
	const square = attnBlock * attnBlock
	s := p.scratchAtLeast(worker, gemmScratch+2*square+2*attnBlock)
	pack, s := s[:gemmScratch], s[gemmScratch:]
	return attnScratch{pack, s[:square], s[square : 2*square], s[2*square : 2*square+attnBlock], s[2*square+attnBlock:]}
}

// attend computes rows lo..hi (at most attnBlock) of one head, block after block of keys with a running maximum and
// sum. Query row t sees keys 0 .. start+t. lse, where not nil, receives log sum exp of each row's scaled scores.
func attend(isa kernel.ISA, s attnScratch, q, k, v, y headView, lo, hi, start, d int, lse []float32) {
	n := hi - lo
	s.begin(y, lo, n, d)
	s.attendKeys(isa, q, k, v, y, lo, n, start+hi, d, func(i int) int { return start + lo + i + 1 })
	for i := range n {
		s.finish(isa, i, y.from(lo + i)[:d])
		if lse != nil {
			lse[lo+i] = s.peak[i] + float32(math.Log(float64(s.sum[i])))
		}
	}
}

// begin resets the sums of rows lo .. lo+n.
func (s *attnScratch) begin(y headView, lo, n, d int) {
	for i := range n {
		s.sum[i], s.peak[i] = 0, float32(math.Inf(-1))
		clear(y.from(lo + i)[:d])
	}
}

// attendKeys adds the attention of rows lo .. lo+n to keys 0 .. keys-1; row lo+i sees the first seen(i) of them.
func (s *attnScratch) attendKeys(isa kernel.ISA, q, k, v, y headView, lo, n, keys, d int, seen func(i int) int) {
	scale := float32(1 / math.Sqrt(float64(d)))
	for k0 := 0; k0 < keys; k0 += attnBlock {
		m := min(attnBlock, keys-k0)
		gemmSerial(isa, s.pack, &gemmArgs{M: n, N: m, K: d, A: q.from(lo), ARow: q.ld, ACol: 1,
			B: k.from(k0), BRow: 1, BCol: k.ld, C: s.scores, LDC: attnBlock})
		for i := range n {
			some := max(0, min(m, seen(i)-k0))
			row := s.scores[i*attnBlock : i*attnBlock+m]
			s.softmaxRow(isa, i, row[:some], y.from(lo + i)[:d], scale)
			clear(row[some:])
		}
		gemmSerial(isa, s.pack, &gemmArgs{M: n, N: d, K: m, A: s.scores, ARow: attnBlock, ACol: 1,
			B: v.from(k0), BRow: v.ld, BCol: 1, C: y.from(lo), LDC: y.ld, Accumulate: true})
	}
}

// finish divides row i by the sum of its weights.
func (s *attnScratch) finish(isa kernel.ISA, i int, row []float32) { isa.Scale(row, 1/s.sum[i], row) }

// softmaxRow turns a block of scores into unnormalised probabilities, and rescales the earlier sums if the maximum
// rises.
func (s *attnScratch) softmaxRow(isa kernel.ISA, i int, row, sum []float32, scale float32) {
	if len(row) == 0 {
		return
	}
	isa.Scale(row, scale, row)
	if peak := isa.Max(row); peak > s.peak[i] {
		if old := s.peak[i]; !math.IsInf(float64(old), -1) {
			shrink := float32(math.Exp(float64(old - peak)))
			s.sum[i] *= shrink
			isa.Scale(sum, shrink, sum)
		}
		s.peak[i] = peak
	}
	s.sum[i] += isa.ExpSum(row, row, s.peak[i])
}

// attention is causal attention without a [T, T] matrix: forward keeps the log sum exp of each row, and backward forms
// the probabilities again, a block at a time:
//
//	P = exp(scale Q·K^T - lse), D = rowsum(dY * Y)
//	dV = P^T·dY,  dS = scale P * (dY·V^T - D),  dQ = dS·K,  dK = dS^T·Q
type attention struct {
	p              *Program
	q, k, v, y     *buf
	dy             *buf
	dq, dk, dv     *grad
	lse, delta     *buf // [batch, heads, T]
	b, t, h, kv, d int
	blocks         int // of rows of a head
	fwd, bwd       func(worker, i int)
}

func newAttention(c *compiler, op *nn.Attention) step {
	o := &attention{p: c.Program, q: c.keep(op.Q), k: c.keep(op.K), v: c.keep(op.V), y: c.keep(op.Y),
		b: op.Q.Dim(0), t: op.Q.Dim(1), h: op.Heads, kv: op.KVHeads, d: op.Q.Cols() / op.Heads}
	o.blocks = (o.t + attnBlock - 1) / attnBlock
	o.fwd, o.bwd = o.forwardPiece, o.backwardPiece
	if o.dy = c.upstream(op.Y); o.dy == nil {
		return o
	}
	o.lse, o.delta = c.aux(o.b*o.h*o.t), c.scratchBack(o.b*o.h*o.t)
	o.dq, o.dk, o.dv = c.downstream(op.Q), c.downstream(op.K), c.downstream(op.V)
	return o
}

func (o *attention) forward() error {
	o.p.eng.pool.run(o.b*o.h*o.blocks, o.fwd)
	return nil
}

// forwardPiece takes the blocks of rows from the last to the first: the last ones have the most keys.
func (o *attention) forwardPiece(worker, i int) {
	block, bh := o.blocks-1-i/(o.b*o.h), i%(o.b*o.h)
	b, h := bh/o.h, bh%o.h
	kvh := h / (o.h / o.kv)
	var lse []float32
	if o.lse != nil {
		lse = o.lse.f[bh*o.t : (bh+1)*o.t]
	}
	lo := block * attnBlock
	attend(o.p.eng.isa, newAttnScratch(o.p.eng.pool, worker),
		head(o.q.f, o.b, o.t, o.h, o.d, b, h), head(o.k.f, o.b, o.t, o.kv, o.d, b, kvh),
		head(o.v.f, o.b, o.t, o.kv, o.d, b, kvh), head(o.y.f, o.b, o.t, o.h, o.d, b, h),
		lo, min(lo+attnBlock, o.t), 0, o.d, lse)
}

func (o *attention) backward() {
	if o.dy != nil {
		o.p.eng.pool.run(o.b*o.kv, o.bwd)
	}
}

// backwardPiece does all query heads of one key head, since they add to the same dK and dV.
func (o *attention) backwardPiece(worker, i int) {
	b, kvh := i/o.kv, i%o.kv
	group := o.h / o.kv
	k, v := head(o.k.f, o.b, o.t, o.kv, o.d, b, kvh), head(o.v.f, o.b, o.t, o.kv, o.d, b, kvh)
	dk, dv := o.dk.head(o.p, o.b, o.t, o.kv, o.d, b, kvh), o.dv.head(o.p, o.b, o.t, o.kv, o.d, b, kvh)
	for h := kvh * group; h < (kvh+1)*group; h++ {
		g := attnGrad{o: o, s: newAttnScratch(o.p.eng.pool, worker), k: k, v: v, dk: dk, dv: dv,
			q: head(o.q.f, o.b, o.t, o.h, o.d, b, h), dy: head(o.dy.f, o.b, o.t, o.h, o.d, b, h),
			dq: o.dq.head(o.p, o.b, o.t, o.h, o.d, b, h), lse: o.lse.f[(b*o.h+h)*o.t:], delta: o.delta.f[(b*o.h+h)*o.t:]}
		y := head(o.y.f, o.b, o.t, o.h, o.d, b, h)
		for r := range o.t {
			g.delta[r] = o.p.eng.isa.Dot(y.from(r)[:o.d], g.dy.from(r)[:o.d])
		}
		for lo := 0; lo < o.t; lo += attnBlock {
			for k0 := 0; k0 <= lo; k0 += attnBlock {
				g.block(lo, min(lo+attnBlock, o.t), k0, min(k0+attnBlock, o.t))
			}
		}
	}
}

// head is one head of a gradient, cleared if the contribution overwrites; without memory for a nil gradient.
func (g *grad) head(p *Program, batch, t, heads, d, b, h int) headView {
	if g == nil {
		return headView{}
	}
	v := head(g.f, batch, t, heads, d, b, h)
	if !g.adds(p) {
		for r := range t {
			clear(v.from(r)[:d])
		}
	}
	return v
}

// attnGrad is the backward run of one query head.
type attnGrad struct {
	o                       *attention
	s                       attnScratch
	q, k, v, dy, dq, dk, dv headView
	lse, delta              []float32
}

// block adds what the scores of rows lo..hi and keys k0..k1 contribute to dQ, dK and dV.
func (g *attnGrad) block(lo, hi, k0, k1 int) {
	isa, d, n, m := g.o.p.eng.isa, g.o.d, hi-lo, k1-k0
	scale := float32(1 / math.Sqrt(float64(d)))
	gemmSerial(isa, g.s.pack, &gemmArgs{M: n, N: m, K: d, A: g.q.from(lo), ARow: g.q.ld, ACol: 1,
		B: g.k.from(k0), BRow: 1, BCol: g.k.ld, C: g.s.scores, LDC: attnBlock})
	gemmSerial(isa, g.s.pack, &gemmArgs{M: n, N: m, K: d, A: g.dy.from(lo), ARow: g.dy.ld, ACol: 1,
		B: g.v.from(k0), BRow: 1, BCol: g.v.ld, C: g.s.grads, LDC: attnBlock})
	for i := range n {
		seen := max(0, min(m, lo+i+1-k0))
		p, ds := g.s.scores[i*attnBlock:i*attnBlock+m], g.s.grads[i*attnBlock:i*attnBlock+m]
		isa.Scale(p[:seen], scale, p[:seen])
		isa.ExpSum(p[:seen], p[:seen], g.lse[lo+i])
		clear(p[seen:])
		delta := g.delta[lo+i]
		for j, pj := range p {
			ds[j] = scale * pj * (ds[j] - delta)
		}
		clear(ds[seen:])
	}
	mulAdd := func(m, n, k int, a []float32, aRow, aCol int, b, c headView, b0, c0 int) {
		if c.f == nil {
			return
		}
		gemmSerial(isa, g.s.pack, &gemmArgs{M: m, N: n, K: k, A: a, ARow: aRow, ACol: aCol,
			B: b.from(b0), BRow: b.ld, BCol: 1, C: c.from(c0), LDC: c.ld, Accumulate: true})
	}
	mulAdd(m, d, n, g.s.scores, 1, attnBlock, g.dy, g.dv, lo, k0)
	mulAdd(n, d, m, g.s.grads, attnBlock, 1, g.k, g.dq, k0, lo)
	mulAdd(m, d, n, g.s.grads, 1, attnBlock, g.q, g.dk, lo, k0)
}
