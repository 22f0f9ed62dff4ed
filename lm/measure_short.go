package lm

import (
	"context"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/nn/cpu"
)

// further scores a language model whose patches have fewer than the 4 tokens that BrierLM takes: two samples a
// position, continued by further patches while they are equal.
type further struct {
	*eval.Rollout
	*eval.Pairs
	graph    *Evaluation
	program  *cpu.Program
	diverged int // diverged draws since the measurement began
}

func newFurther(e *cpu.Engine, m *Model, x eval.Extent, graph *Evaluation, p *cpu.Program) *further {
	f := &further{Rollout: eval.NewRollout(x, m.NewBranches(e, graph, p), graph.Inputs.Dim(0)), graph: graph, program: p}
	f.Pairs = eval.NewPairs(m.Config.HiddenSize, func(size int) eval.PairSampler {
		s := m.NewSampler(e, size, 2)
		return func(_ int, windows []int, hidden []float32, seed, step uint64) ([]int32, error) {
			tokens, err := s.Draw(hidden, seed, step)
			if err = withoutDivergence(err); err != nil {
				return nil, err
			}
			for _, of := range [][]int32{tokens, tokens[size*f.Patch:]} {
				f.diverged += diverged(of[:len(windows)*f.Patch], f.Patch)
			}
			return tokens, nil
		}
	})
	return f
}

// score adds the samples of a batch, tokens [2, P, K], to the scores. Its rows are the blocks number first, first+1, ..
// . d draws the further patches.
func (f *further) score(ctx context.Context, scores *brier.Accumulator, first, rows int, tokens []int32, d eval.Draw) error {
	k, perRow := f.Patch, f.graph.Inputs.Dim(1)
	targets := f.program.Ints(f.graph.Targets)
	a, b := tokens[:len(targets)], tokens[len(targets):]
	position := func(window int) int { return (window/f.Windows*perRow + window%f.Windows) * k } // of its first token
	f.Begin()
	for w := range rows * f.Windows {
		at := position(w)
		f.Add(w, 0, a[at:at+k], b[at:at+k])
	}
	if err := f.Run(ctx, d); err != nil {
		return err
	}
	for w := range rows * f.Windows {
		at := position(w)
		right := [2]int{f.Right(a[at:], targets[at:]), f.Right(b[at:], targets[at:])}
		scores.Add(first+w/f.Windows, brier.Continued(right, f.Agree[w]))
	}
	return nil
}
