package lm

import (
	"context"
	"errors"

	"github.com/calm-go/calm/head"
)

// drawn holds the samples of a batch: n samples of K tokens for each position. If the loss scores samples, they come
// from the run that measures the loss, otherwise from a sampler.
type drawn struct {
	tokens    []int32 // [P, n, K], or [n, P, K] with bySample
	bySample  bool
	n, k      int
	positions int       // P
	sampler   *Sampler  // nil where the run gives the samples
	atOnce    int       // positions that the sampler draws for
	hidden    []float32 // [atOnce, D]
	diverged  int       // diverged draws of the sampler since the measurement began
}

// stepsAtOnce is the maximum number of sampling steps between two checks whether the context is cancelled. It also
// limits the memory of their noise.
const stepsAtOnce = 1 << 14

// newSampler makes a sampler of that many draws for each of that many rows at a time.
type newSampler func(rows, draws int) *Sampler

func newDrawn(m *Model, graph *Evaluation, samples int, bySample bool, sampler newSampler) *drawn {
	d := &drawn{n: samples, k: m.Config.PatchSize, positions: graph.Weight.Size(), bySample: bySample}
	d.tokens = make([]int32, d.positions*d.n*d.k)
	if graph.Tokens == nil {
		d.atOnce = max(1, min(d.positions, decodedAtOnce/(d.k*samples), stepsAtOnce/(m.Head.Steps()*samples)))
		d.sampler = sampler(d.atOnce, samples)
		d.hidden = make([]float32, d.atOnce*m.Config.HiddenSize)
	}
	return d
}

// at returns the place of sample s of a position in tokens.
func (d *drawn) at(s, position int) []int32 {
	i := position*d.n + s
	if d.bySample {
		i = s*d.positions + position
	}
	return d.tokens[i*d.k:][:d.k]
}

// collect stores the samples of a run, [m, P, K], as samples number first, first+1, .. . The last run may have more
// samples than are needed.
func (d *drawn) collect(tokens []int32, first int) {
	m := len(tokens) / (d.positions * d.k)
	for s := range min(m, d.n-first) {
		for p := range d.positions {
			copy(d.at(first+s, p), tokens[(s*d.positions+p)*d.k:])
		}
	}
}

// sample draws from hidden states [P, D], a group of positions at a time. Only the first positions count: those after them belong
// to rows that fill up the last batch.
func (d *drawn) sample(ctx context.Context, hidden []float32, seed uint64, batch, positions int) error {
	if d.sampler == nil {
		return nil
	}
	width := len(d.hidden) / d.atOnce
	chunks := (d.positions + d.atOnce - 1) / d.atOnce
	for chunk := range chunks {
		if err := ctx.Err(); err != nil {
			return err
		}
		first := chunk * d.atOnce
		n := min(d.atOnce, positions-first)
		if n <= 0 {
			return nil
		}
		copy(d.hidden, hidden[first*width:(first+n)*width]) // the remaining rows are stale; their results are ignored
		tokens, err := d.sampler.Draw(d.hidden, seed, uint64(batch*chunks+chunk))
		if err = withoutDivergence(err); err != nil {
			return err
		}
		for s := range d.n {
			patches := tokens[s*d.atOnce*d.k:][:n*d.k]
			d.diverged += diverged(patches, d.k)
			for p := range n {
				copy(d.at(s, first+p), patches[p*d.k:])
			}
		}
	}
	return nil
}

// withoutDivergence drops a *head.DivergedError: diverged draws count as tokens that are never right.
func withoutDivergence(err error) error {
	if _, ok := errors.AsType[*head.DivergedError](err); ok {
		return nil
	}
	return err
}

// diverged counts the patches of k tokens that diverged.
func diverged(patches []int32, k int) (n int) {
	for ; len(patches) > 0; patches = patches[k:] {
		if patches[0] == Diverged {
			n++
		}
	}
	return n
}
