package eval

import (
	"context"

	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
)

// furtherLM scores a language model whose patches are too short for n-grams: two samples a position, continued by
// further patches where they are equal.
type furtherLM struct {
	*rollout
	*pairs
	graph    *lm.Evaluation
	program  *cpu.Program
	diverged int // draws that did, since the measurement began
}

func newFurtherLM(e *cpu.Engine, m *lm.Model, x extent, graph *lm.Evaluation, p *cpu.Program) *furtherLM {
	f := &furtherLM{rollout: newRollout(x, m.NewBranches(e, graph, p), graph.Inputs.Dim(0)), graph: graph, program: p}
	f.pairs = newPairs(m.Config.HiddenSize, func(size int) pairSampler {
		s := m.NewSampler(e, size, 2)
		return func(_ int, windows []int, hidden []float32, seed, step uint64) ([]int32, error) {
			tokens, err := s.Draw(hidden, seed, step)
			if err = withoutDivergence(err); err != nil {
				return nil, err
			}
			for _, of := range [][]int32{tokens, tokens[size*f.patch:]} {
				f.diverged += diverged(of[:len(windows)*f.patch], f.patch)
			}
			return tokens, nil
		}
	})
	return f
}

// score adds what was drawn, tokens [2, P, K], in a batch's rows, blocks number first and following, to the scores. d gives
// the further patches.
func (f *furtherLM) score(ctx context.Context, scores *brier.Accumulator, first, rows int, tokens []int32, d draw) error {
	k, perRow := f.patch, f.graph.Inputs.Dim(1)
	targets := f.program.Ints(f.graph.Targets)
	a, b := tokens[:len(targets)], tokens[len(targets):]
	position := func(window int) int { return (window/f.windows*perRow + window%f.windows) * k } // of its first token
	f.begin()
	for w := range rows * f.windows {
		at := position(w)
		f.add(w, 0, a[at:at+k], b[at:at+k])
	}
	if err := f.run(ctx, d); err != nil {
		return err
	}
	for w := range rows * f.windows {
		at := position(w)
		right := [2]int{f.right(a[at:], targets[at:]), f.right(b[at:], targets[at:])}
		scores.Add(first+w/f.windows, brier.Continued(right, f.agree[w]))
	}
	return nil
}
