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
	engine   *cpu.Engine
	model    *lm.Model
	graph    *lm.Evaluation
	program  *cpu.Program
	samplers map[int]*lm.Sampler // of two draws, by hidden states
	diverged int                 // draws that did, since the measurement began
}

func newFurtherLM(e *cpu.Engine, m *lm.Model, x extent, graph *lm.Evaluation, p *cpu.Program) *furtherLM {
	return &furtherLM{rollout: newRollout(x, m.NewBranches(e, graph, p), graph.Inputs.Dim(0)),
		engine: e, model: m, graph: graph, program: p, samplers: map[int]*lm.Sampler{}}
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

// draws returns draws of a stream of their own for a batch: further patches that are made together share a step, and no
// two others do.
func (f *furtherLM) draws(seed uint64, batch int) draw {
	step := uint64(batch) << 32
	return func(_ int, windows []int, hidden []float32) ([]int32, error) {
		step++
		size := len(hidden) / f.model.Config.HiddenSize
		if f.samplers[size] == nil {
			f.samplers[size] = f.model.NewSampler(f.engine, size, 2)
		}
		tokens, err := f.samplers[size].Draw(hidden, furtherStream^seed, step)
		if err = withoutDivergence(err); err != nil {
			return nil, err
		}
		for _, of := range [][]int32{tokens, tokens[size*f.patch:]} {
			f.diverged += diverged(of[:len(windows)*f.patch], f.patch)
		}
		return tokens, nil
	}
}

// furtherStream sets the draws of further patches apart from those of the samples they continue.
const furtherStream = 0x66757274686572
