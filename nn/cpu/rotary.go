package cpu

import (
	"fmt"
	"math"
	"slices"

	"github.com/calm-go/calm/nn"
)

// ropeKey identifies a table of rotary angles. The programs of one engine share tables.
type ropeKey struct {
	theta float64
	half  int
}

// rope holds cos and sin of position * theta^(-i/half) for i < half, and -sin for the inverse rotation, by position.
type rope struct {
	ropeKey
	cos, sin, back []float32 // [positions, half]
}

func (e *Engine) rope(theta float64, half int) *rope {
	k := ropeKey{theta, half}
	if e.ropes[k] == nil {
		e.ropes[k] = &rope{ropeKey: k}
	}
	return e.ropes[k]
}

// grow extends the tables to at least n positions.
func (r *rope) grow(n int) {
	have := len(r.cos) / r.half
	if have >= n {
		return
	}
	for pos := have; pos < max(n, 2*have); pos++ {
		for i := range r.half {
			sin, cos := math.Sincos(float64(pos) * math.Pow(r.theta, -float64(i)/float64(r.half)))
			r.cos = append(r.cos, float32(cos))
			r.sin = append(r.sin, float32(sin))
			r.back = append(r.back, float32(-sin))
		}
	}
}

// rotary rotates every head of every row; backward rotates dY by the negative angles.
type rotary struct {
	p        *Program
	x, y     *buf
	start    []int32
	dy       *buf
	dx       *grad
	rope     *rope
	t        int // rows of a batch entry
	capacity int // positions that rows can reach
	heads, d int
	cut      rows
	fwd, bwd func(worker, i int)
}

func newRotary(c *compiler, op *nn.Rotary) step {
	d := op.X.Cols() / op.Heads
	o := &rotary{p: c.Program, x: c.read(op.X), y: c.write(op.Y), t: op.X.Dim(1), heads: op.Heads, d: d, rope: c.eng.rope(op.Theta, d/2)}
	o.cut = cutRows(op.X.Rows(), op.X.Cols())
	if op.Start != nil {
		o.start, o.capacity = c.ints[op.Start.Root().ID()], capacity(c.graph, op.Start)
	}
	o.rope.grow(o.t)
	if o.dy = c.upstream(op.Y); o.dy != nil {
		o.dx = c.downstream(op.X)
	}
	o.fwd, o.bwd = o.forwardPiece, o.backwardPiece
	return o
}

// maxPositions bounds the tables where no cache does: they take 3 GB with heads of 256.
const maxPositions = 1 << 21

// capacity returns how many positions a row that begins at start can reach: the size of the smallest cache [slots,
// positions, ..] that an operation which reads start too writes.
func capacity(g *nn.Graph, start *nn.Tensor) int {
	n := maxPositions
	for _, op := range g.Ops() {
		d := op.Describe()
		if !slices.ContainsFunc(d.In, func(t *nn.Tensor) bool { return t.Root() == start.Root() }) {
			continue
		}
		for _, cache := range d.Writes {
			n = min(n, cache.Dim(1))
		}
	}
	return n
}

func (o *rotary) forward() error {
	last := 0
	for b, s := range o.start { // all of them before the tables grow
		if s < 0 || int(s)+o.t > o.capacity {
			return fmt.Errorf("rotary: row %d starts at position %d: want 0 to %d, so that its %d fit %d", b, s, o.capacity-o.t, o.t, o.capacity)
		}
		last = max(last, int(s)+o.t)
	}
	o.rope.grow(last)
	o.p.eng.pool.run(o.cut.pieces(), o.fwd)
	return nil
}

func (o *rotary) angles(r int, sin []float32) (c, s []float32) {
	pos := r % o.t
	if o.start != nil {
		pos += int(o.start[r/o.t])
	}
	half := o.d / 2
	return o.rope.cos[pos*half : (pos+1)*half], sin[pos*half : (pos+1)*half]
}

func (o *rotary) forwardPiece(_, i int) {
	lo, hi := o.cut.piece(i)
	for r := lo; r < hi; r++ {
		cos, sin := o.angles(r, o.rope.sin)
		for h := r * o.heads; h < (r+1)*o.heads; h++ {
			o.p.eng.isa.Rotary(o.y.f[h*o.d:(h+1)*o.d], o.x.f[h*o.d:(h+1)*o.d], cos, sin)
		}
	}
}

func (o *rotary) backward() {
	if o.dx != nil {
		o.p.eng.pool.run(o.cut.pieces(), o.bwd)
	}
}

func (o *rotary) backwardPiece(worker, i int) {
	lo, hi := o.cut.piece(i)
	tmp := o.p.eng.pool.scratchAtLeast(worker, o.d)[:o.d]
	for r := lo; r < hi; r++ {
		cos, sin := o.angles(r, o.rope.back)
		for h := r * o.heads; h < (r+1)*o.heads; h++ {
			o.p.eng.isa.Rotary(tmp, o.dy.f[h*o.d:(h+1)*o.d], cos, sin)
			o.dx.put(o.p, h*o.d, tmp)
		}
	}
}
