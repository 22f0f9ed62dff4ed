package lm

import (
	"context"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/nn/cpu"
)

// Further and NewFurther let tests draw further patches themselves.
type Further = further

func NewFurther(e *cpu.Engine, m *Model, x eval.Extent, graph *Evaluation, p *cpu.Program) *Further {
	return newFurther(x, graph, p, m.NewBranches(e, graph, p), func(rows, draws int) *Sampler { return m.NewSampler(e, rows, draws) })
}

// Score exports score.
func (f *Further) Score(ctx context.Context, scores *brier.Accumulator, first, rows int, tokens []int32, d eval.Draw) error {
	return f.score(ctx, scores, first, rows, tokens, d)
}

// SetSizes sets how many draws a model's source makes at once for a slot.
func SetSizes(s generate.Source, slot int, sizes ...int) {
	s.(*source).writers[slot].pool.sizes = sizes
}

// SetMaxInputs bounds what a pool keeps to decode later.
func (p *Pool) SetMaxInputs(n int) { p.maxInputs = n }

// WrapHead replaces the samplers of draws that a pool makes n of at a time.
func (p *Pool) WrapHead(n int, wrap func(head.Sampler) head.Sampler) {
	s, size := p.programs, drawerSize{1, n}
	if s.drawers[size] == nil {
		s.drawers[size] = s.newDrawer(size)
	}
	s.drawers[size].sampler = wrap(s.drawers[size].sampler)
}
