package lm

import (
	"context"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/nn"
)

// further scores a language model whose patches have fewer than the 4 tokens that BrierLM takes: two samples a
// position, continued by further patches while they are equal.
type further struct {
	*eval.Rollout
	*eval.Pairs
	graph    *Evaluation
	values   nn.Values // of graph
	diverged int       // diverged draws since the measurement began
}

func newFurther(x eval.Extent, graph *Evaluation, v nn.Values, branches *backbone.Branches, sampler newSampler) *further {
	f := &further{Rollout: eval.NewRollout(x, branches, graph.Inputs.Dim(0)), graph: graph, values: v}
	f.Pairs = eval.NewPairs(graph.Hidden.Cols(), func(size int) eval.PairSampler {
		s := sampler(size, 2)
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
	targets := f.values.Ints(f.graph.Targets)
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
