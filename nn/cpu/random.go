package cpu

import (
	"fmt"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/random"
)

// fill draws a random tensor before the first operation that reads it runs.
type fill struct {
	p     *Program
	out   *buf
	dist  nn.Dist
	draws uint32
	fixed []float32 // given by Feed; nil to draw
	byOp  bool      // true if the operation that reads the tensor draws its numbers itself, piece by piece
	cut   rows
	piece func(worker, i int)
}

// drawInputs plans the draws of the random tensors that no operation before op reads.
func (c *compiler) drawInputs(op nn.Op) (draws []*fill) {
	for _, t := range op.Describe().In {
		root := t.Root()
		if root.Role() != nn.RandomVar || c.random[root] != nil {
			continue
		}
		f := &fill{p: c.Program, out: c.value(root), dist: root.Dist(), draws: random.ID(root.Name()), cut: cutFlat(root.Size())}
		f.piece = f.drawPiece
		c.random[root] = f
		draws = append(draws, f)
	}
	return draws
}

// addFills plans the draws before the current operation runs, except those that it makes itself.
func (c *compiler) addFills(draws []*fill) {
	for _, f := range draws {
		if !f.byOp {
			f.out.touch(c.now)
			c.fills[c.now] = append(c.fills[c.now], f)
		}
	}
}

// Feed sets the values of a random tensor for all later runs, instead of drawing them; with nil they are drawn again.
func (p *Program) Feed(t *nn.Tensor, values []float32) {
	f := p.random[t.Root()]
	if f == nil || values != nil && len(values) != t.Size() {
		panic(fmt.Sprintf("cpu: feed %v with %d values", t, len(values)))
	}
	f.fixed = values
}

func (f *fill) draw() {
	if f.fixed != nil {
		copy(f.out.f, f.fixed)
		return
	}
	f.p.eng.pool.run(f.cut.pieces(), f.piece)
}

func (f *fill) drawPiece(_, i int) {
	lo, hi := f.cut.piece(i)
	dst, st, isa := f.out.f[lo:hi], f.p.stream(f.draws), f.p.eng.isa
	switch f.dist.Kind {
	case nn.NormalDist:
		isa.Normal(dst, st, lo)
	case nn.UniformDist:
		isa.Uniform(dst, st, lo, f.dist.Lo, f.dist.Hi)
	case nn.BernoulliDist:
		isa.Bernoulli(dst, st, lo, f.dist.P, f.dist.Hi)
	case nn.IntegersDist:
		isa.Integers(dst, st, lo, f.dist.N)
	}
}

// Uniform is random.Uniform on the engine's instruction set, on the caller's thread.
func (e *Engine) Uniform(dst []float32, st random.Stream, offset int, lo, hi float32) {
	e.isa.Uniform(dst, st, offset, lo, hi)
}

// Normal is random.Normal on the engine's instruction set, on the caller's thread.
func (e *Engine) Normal(dst []float32, st random.Stream, offset int) { e.isa.Normal(dst, st, offset) }
