package cpu

import (
	"math"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/nn"
)

// AdamW updates the parameters that a training program differentiates, with decoupled weight decay (Loshchilov and Hutter,
// 2019). Its moments are in the order of the parameters.
type AdamW struct {
	p       *Program
	states  []moment
	pieces  []adamPiece
	norms   []float64 // sum of squares, by piece
	update  func(worker, i int)
	measure func(worker, i int)
}

type moment struct {
	param *nn.Param
	grad  *buf
	m, v  []float32
	step  kernel.AdamWStep // of the current update
}

type adamPiece struct{ state, lo, hi int }

// AdamWConfig holds the optimizer's constants (docs/spec.md, section 2).
type AdamWConfig struct {
	Beta1, Beta2, Epsilon, WeightDecay float64 // of PyTorch's AdamW
}

// NewAdamW returns an optimizer for the parameters that p differentiates, with moments of zero.
func NewAdamW(p *Program) *AdamW {
	o := &AdamW{p: p}
	for i, g := range p.paramGrads {
		o.states = append(o.states, moment{param: g.param, grad: g.buf, m: alignedFloats(g.size), v: alignedFloats(g.size)})
		cut := rows{g.size, 1 << 14}
		for k := range cut.pieces() {
			lo, hi := cut.piece(k)
			o.pieces = append(o.pieces, adamPiece{i, lo, hi})
		}
	}
	o.norms = make([]float64, len(o.pieces))
	o.measure = func(_, i int) {
		c := o.pieces[i]
		o.norms[i] = float64(p.eng.isa.SumSquares(o.states[c.state].grad.f[c.lo:c.hi]))
	}
	o.update = func(_, i int) {
		c := o.pieces[i]
		if s := &o.states[c.state]; s.param.Rate != 0 {
			p.eng.isa.AdamW(s.param.Data[c.lo:c.hi], s.grad.f[c.lo:c.hi], s.m[c.lo:c.hi], s.v[c.lo:c.hi], s.step)
		}
	}
	return o
}

// GradNorm returns the Euclidean norm of all gradients together, before any scaling.
func (o *AdamW) GradNorm() float64 {
	o.p.eng.pool.run(len(o.pieces), o.measure)
	var sum float64
	for _, n := range o.norms {
		sum += n
	}
	return math.Sqrt(sum)
}

// Step makes update number step, counted from 1. The learning rate is lr times the parameter's Rate. Gradients are
// multiplied by gradScale first (clipping, and the mean over accumulated batches).
func (o *AdamW) Step(c AdamWConfig, lr float64, step int, gradScale float64) {
	for i := range o.states {
		s, decay := &o.states[i], 0.
		if s.param.Decay {
			decay = c.WeightDecay
		}
		s.step = kernel.NewAdamWStep(lr*s.param.Rate, c.Beta1, c.Beta2, c.Epsilon, decay, step, gradScale)
	}
	o.p.eng.pool.run(len(o.pieces), o.update)
}

// Moments calls f with each parameter and its first and second moments, in the parameter's shape: the optimizer's
// state, to be saved or restored.
func (o *AdamW) Moments(f func(param *nn.Param, m, v []float32)) {
	for _, s := range o.states {
		f(s.param, s.m, s.v)
	}
}
