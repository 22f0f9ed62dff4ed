package cpu

import (
	"cmp"
	"slices"

	"github.com/calm-go/calm/nn"
)

// Times in a plan: operation i of n runs forward at time i and backward at time 2n-1-i. A buffer holds its memory from
// the first to the last time it is touched, and shares it with others before and after.

// buf is a float32 buffer of a program. Steps keep the *buf and take its memory f when they run, since memory is
// assigned after all steps are known, and inputs may be bound again.
type buf struct {
	f           []float32
	half        []uint16 // of a parameter that is bfloat16, f then nil
	narrow      []int8   // of a parameter that is int8, f then nil
	scales      []float32
	size        int
	first, last int
	merged      *buf // the buffer this one shares memory with as an alias
}

func (b *buf) touch(at int) {
	b.first, b.last = min(b.first, at), max(b.last, at)
}

func (b *buf) root() *buf {
	for b.merged != nil {
		b = b.merged
	}
	return b
}

// grad is one operation's contribution to the gradient of a tensor: it overwrites the buffer if add is false, else it
// adds to it. A nil *grad means that the gradient is not needed.
type grad struct {
	*buf
	add   bool
	param bool // the gradient of a parameter, which outlives the run
}

// adds is whether a contribution adds in this run.
func (g *grad) adds(p *Program) bool { return g.add || g.param && p.accumulate }

// window is a rectangle of a parameter's gradient, rows of width cols.
type window struct{ row, rows, col, cols int }

func (w window) overlaps(v window) bool {
	return w.row < v.row+v.rows && v.row < w.row+w.rows && w.col < v.col+v.cols && v.col < w.col+w.cols
}

// contribution is a grad with the time at which it is made.
type contribution struct {
	g     *grad
	at    int
	win   window
	alias *buf // if set, and first in time, the gradient takes over this buffer, and nothing is copied
}

// compiler turns a graph into steps and plans their memory.
type compiler struct {
	*Program
	n       int // number of operations
	now     int // the operation being compiled
	need    []bool
	planned []*buf                         // buffers that share memory over time
	contrib map[*nn.Tensor][]*contribution // by root
	order   []*nn.Tensor                   // keys of contrib in the order they came up
}

// value returns the buffer of t's root.
func (c *compiler) value(t *nn.Tensor) *buf { return c.values[t.Root().ID()] }

// read declares that the current operation reads t in its forward run.
func (c *compiler) read(t *nn.Tensor) *buf {
	if t == nil {
		return nil
	}
	b := c.value(t)
	b.touch(c.now)
	return b
}

// keep declares that the current operation reads t in both its runs.
func (c *compiler) keep(t *nn.Tensor) *buf {
	b := c.read(t)
	if b != nil && c.training && c.opNeedsGrad {
		b.touch(c.back())
	}
	return b
}

// write declares that the current operation writes t.
func (c *compiler) write(t *nn.Tensor) *buf { return c.read(t) }

func (c *compiler) back() int { return 2*c.n - 1 - c.now }

// upstream returns the gradient of the current operation's output t, read in its backward run; nil if there is none.
func (c *compiler) upstream(t *nn.Tensor) *buf {
	if !c.training || !c.need[t.Root().ID()] {
		return nil
	}
	b := c.gradOf(t.Root())
	b.touch(c.back())
	return b
}

func (c *compiler) gradOf(root *nn.Tensor) *buf {
	b := c.grads[root.ID()]
	if b != nil {
		return b
	}
	if p := root.Param(); p != nil {
		b = &buf{size: root.Size()}
		c.paramGrads = append(c.paramGrads, paramGrad{p, b})
	} else {
		b = c.plan(root.Size())
	}
	c.grads[root.ID()] = b
	return b
}

// downstream declares a contribution of the current operation to the gradient of its input t, made in its backward
// run; early ones are made in its forward run. It returns nil if the gradient is not needed.
func (c *compiler) downstream(t *nn.Tensor) *grad { return c.contribute(t, c.back(), nil) }
func (c *compiler) early(t *nn.Tensor) *grad      { return c.contribute(t, c.now, nil) }

// pass is downstream for a contribution that equals the gradient of the current operation's output, whose buffer
// from; if it comes first, the two gradients share memory, and the caller finds grad.buf == nil: nothing to do.
func (c *compiler) pass(t *nn.Tensor, from *buf) *grad { return c.contribute(t, c.back(), from) }

func (c *compiler) contribute(t *nn.Tensor, at int, alias *buf) *grad {
	if t == nil {
		return nil
	}
	return c.contributeWindow(t, at, alias, window{0, t.Rows(), 0, t.Cols()})
}

func (c *compiler) contributeWindow(t *nn.Tensor, at int, alias *buf, w window) *grad {
	if t == nil || !c.training || !c.need[t.Root().ID()] {
		return nil
	}
	root := t.Root()
	b := c.gradOf(root)
	b.touch(at)
	g := &grad{buf: b, param: root.Param() != nil}
	if g.param {
		alias = nil
	}
	if t != root { // views cover all of their root, which has another shape
		w = window{0, root.Rows(), 0, root.Cols()}
	}
	if c.contrib[root] == nil {
		c.order = append(c.order, root)
	}
	c.contrib[root] = append(c.contrib[root], &contribution{g, at, w, alias})
	return g
}

// scratch returns memory that the current operation uses in its forward run only, scratchBack in its backward run
// only, and aux from one to the other.
func (c *compiler) scratch(size int) *buf {
	b := c.plan(size)
	b.touch(c.now)
	return b
}

func (c *compiler) scratchBack(size int) *buf {
	b := c.plan(size)
	b.touch(c.back())
	return b
}

func (c *compiler) aux(size int) *buf {
	b := c.scratch(size)
	if c.training {
		b.touch(c.back())
	}
	return b
}

func (c *compiler) plan(size int) *buf {
	b := &buf{size: size, first: 2 * c.n, last: -1}
	c.planned = append(c.planned, b)
	return b
}

// resolve decides who overwrites and who adds: the first contribution in time to a gradient, or to a window of a
// parameter's gradient, overwrites.
func (c *compiler) resolve() {
	for _, root := range c.order {
		list := c.contrib[root]
		slices.SortStableFunc(list, func(a, b *contribution) int { return cmp.Compare(a.at, b.at) })
		if overlapping(list) {
			c.zeroed = append(c.zeroed, list[0].g.buf)
			for _, k := range list {
				k.g.add = true
			}
			continue
		}
		seen := map[window]bool{}
		for i, k := range list {
			k.g.add = seen[k.win]
			seen[k.win] = true
			if k.alias == nil {
				continue
			}
			if from, into := k.alias.root(), k.g.buf.root(); i == 0 && from != into && from.size == into.size {
				into.merged = from
				from.touch(into.first)
				from.touch(into.last)
				k.g.buf = nil
			}
		}
	}
	for _, list := range c.contrib { // a gradient may have been merged after other contributions stored its buffer
		for _, k := range list {
			if k.g.buf != nil && k.g.buf.merged != nil {
				k.g.buf = k.g.buf.root()
			}
		}
	}
}

// overlapping reports whether two different windows of one gradient overlap: then no contribution may overwrite.
func overlapping(list []*contribution) bool {
	for i, a := range list {
		for _, b := range list[:i] {
			if a.win != b.win && a.win.overlaps(b.win) {
				return true
			}
		}
	}
	return false
}

// block is the place of a buffer in the arena.
type block struct {
	b      *buf
	offset int
}

// aligned rounds a number of elements up to whole cache lines.
func aligned(size int) int { return (size + 15) / 16 * 16 }

// layout places every planned buffer in one arena, so that buffers alive at the same time do not overlap: largest first,
// each at the lowest address where it fits. It returns the arena's size in elements, and stops where that exceeds limit.
func (c *compiler) layout(limit float64) (total float64, placed []block) {
	var live []*buf
	for _, b := range c.planned {
		if b.merged == nil && b.last >= 0 {
			live = append(live, b)
		}
	}
	slices.SortStableFunc(live, func(a, b *buf) int { return cmp.Compare(b.size, a.size) })
	for _, b := range live { // placed stays sorted by offset
		size, at := aligned(b.size), 0
		for _, p := range placed {
			if p.b.last < b.first || b.last < p.b.first {
				continue
			}
			if at+size <= p.offset {
				break
			}
			at = max(at, p.offset+aligned(p.b.size))
		}
		i, _ := slices.BinarySearchFunc(placed, at, func(p block, at int) int { return cmp.Compare(p.offset, at) })
		placed = slices.Insert(placed, i, block{b, at})
		if total = max(total, float64(at)+float64(size)); total > limit {
			break
		}
	}
	return total, placed
}

func (c *compiler) allocateArena(size int, placed []block) {
	arena := alignedFloats(size)
	for _, p := range placed {
		p.b.f = arena[p.offset : p.offset+p.b.size : p.offset+p.b.size]
	}
	for _, b := range c.planned {
		if b.merged != nil {
			b.f = b.root().f
		}
	}
	c.arena = arena
}
