package eval

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
)

// decodedAtOnce bounds the tokens that are decoded at a time, and with them the memory of an evaluation: 550 MB at the
// published autoencoder's sizes. One block of two samples goes through whatever its size.
const decodedAtOnce = 1 << 15

// cachedAtOnce bounds the keys and values that an evaluation keeps for further patches, in numbers: 512 MB. One block goes
// through whatever its size.
const cachedAtOnce = 1 << 27

// LMResult is how close a language model's samples come to the text. Brier scores and BrierLM are in percent.
type LMResult struct {
	brier.Result
	EnergyLoss float64 `json:"energy_loss"`
	Samples    int     `json:"samples"`    // patches drawn a position; 2 where patches have fewer than 4 tokens
	BlockSize  int     `json:"block_size"` // tokens; BrierLM depends on it
	Tokens     int     `json:"tokens"`     // predicted: all but each block's first patch
	// Rollouts is what patches of fewer than 4 tokens cost besides: for the first further patch, the second, .. at how many
	// positions it was drawn, twice, because the samples were still equal.
	Rollouts []int   `json:"rollouts,omitempty"`
	Seconds  float64 `json:"seconds"`
}

// LMEvaluator measures a language model again and again.
type LMEvaluator struct {
	options   Options
	extent    extent
	selected  *selection
	graph     *lm.Evaluation
	program   *cpu.Program
	estimator *brier.Estimator // of whole patches; nil where they are too short
	further   *furtherLM       // of shorter ones; nil where they are long enough
	scores    brier.Accumulator

	samples, passes int     // samples = what is scored of passes runs
	ids, labels     []int32 // [rows, T]
	drawn           []int32 // [P, samples, K]
}

// NewLM makes an evaluator on text in the language model's layout.
func NewLM(e *cpu.Engine, m *lm.Model, blocks *corpus.Blocks, o Options) (*LMEvaluator, error) {
	if o.Samples == 0 {
		o.Samples = 2
	}
	k := m.Config.PatchSize
	if err := errors.Join(o.check(), checkLayout(blocks, corpus.Language, k, windowless(k, o.ReferenceWindows)+1)); err != nil {
		return nil, err
	}
	if o.Samples < 2 {
		return nil, fmt.Errorf("evaluation: %d samples a position: want 2 or more, since one alone never coincides with another", o.Samples)
	}
	t := blocks.Layout().BlockSize
	v := &LMEvaluator{options: o, extent: extentOf(k, t, o.ReferenceWindows)}
	short := v.extent.further > 0
	if short {
		o.Samples = 2
	}
	atOnce := decodedAtOnce / o.Samples
	if short {
		atOnce = min(atOnce, cachedAtOnce/cached(m.Backbone.Config)*k)
	}
	v.samples = o.Samples
	v.selected = selectBlocks(blocks, o, max(t, atOnce))
	rows := v.selected.rows
	// All samples of a position in one run, or as many as fit; a run has at least two, for the energy score.
	perPass := max(2, min(o.Samples, decodedAtOnce/(rows*t)))
	v.passes = (o.Samples + perPass - 1) / perPass
	perPass = max(2, (o.Samples+v.passes-1)/v.passes)
	v.graph = m.Evaluation(rows, t, perPass)
	if short {
		backbone.Outputs(v.graph.Graph, v.graph.Caches)
	}
	v.program = e.Compile(v.graph.Graph, cpu.Inference)
	v.ids, v.labels = make([]int32, rows*t), make([]int32, rows*t)
	if short {
		v.further = newFurtherLM(e, m, v.extent, v.graph, v.program)
		return v, nil
	}
	v.drawn = make([]int32, v.graph.Weight.Size()*o.Samples*k)
	var err error
	v.estimator, err = brier.NewEstimator(o.Samples, k)
	return v, err
}

// cached returns how many numbers a position's keys and values are.
func cached(c backbone.Config) int { return 2 * c.NumHiddenLayers * c.NumKeyValueHeads * c.HeadSize() }

// LM measures a language model on text in its layout.
func LM(ctx context.Context, e *cpu.Engine, m *lm.Model, blocks *corpus.Blocks, o Options) (LMResult, error) {
	v, err := NewLM(e, m, blocks, o)
	if err != nil {
		return LMResult{}, err
	}
	return v.Run(ctx)
}

// Run measures the weights as they are now.
func (v *LMEvaluator) Run(ctx context.Context) (LMResult, error) {
	start := time.Now()
	v.scores.Reset()
	if v.further != nil {
		clear(v.further.rounds)
	}
	energy := 0.0 // summed over positions
	err := v.selected.each(ctx, v.options.Progress, func(batch, rows int, ids []int32) error {
		loss, err := v.batch(ctx, batch, rows, ids)
		energy += loss
		return err
	})
	if err != nil {
		return LMResult{}, err
	}
	predicted := v.selected.total * v.perBlock()
	r := LMResult{Result: v.scores.Result(v.options.Seed), Samples: v.samples, BlockSize: v.selected.blocks.Layout().BlockSize,
		EnergyLoss: energy / float64(predicted), Tokens: predicted * v.extent.patch}
	if v.further != nil {
		r.Rollouts = v.further.made()
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// batch scores a batch of blocks and returns the energy loss summed over its positions.
func (v *LMEvaluator) batch(ctx context.Context, batch, rows int, ids []int32) (float64, error) {
	// Rows that the last batch lacks are id 0 and no targets.
	n := copy(v.ids, ids)
	clear(v.ids[n:])
	copy(v.labels, v.ids)
	for i := n; i < len(v.labels); i++ {
		v.labels[i] = lm.Ignored
	}
	if err := v.graph.Fill(v.program, v.ids, v.labels); err != nil {
		return 0, err
	}
	loss := 0.0
	for pass := range v.passes {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		v.program.SetDraws(v.options.stream(), uint64(batch*v.passes+pass))
		if err := v.program.Forward(); err != nil {
			return 0, err
		}
		loss += float64(v.program.Scalar(v.graph.Head.Score.Loss))
		if v.estimator != nil {
			v.collect(pass)
		}
	}
	if err := finite("energy loss", loss); err != nil {
		return 0, err
	}
	first := batch * v.selected.rows
	if v.estimator != nil {
		v.score(first, rows)
	} else if err := v.further.score(ctx, &v.scores, first, rows, v.further.draws(v.options.stream(), batch)); err != nil {
		return 0, err
	}
	return loss / float64(v.passes) * float64(rows*v.perBlock()), nil
}

// perBlock returns the number of positions of a block.
func (v *LMEvaluator) perBlock() int { return v.graph.Inputs.Dim(1) }

// score adds the samples of a batch's rows, blocks number first and following, to the scores.
func (v *LMEvaluator) score(first, rows int) {
	targets := v.program.Ints(v.graph.Targets)
	drawn, n := v.samples*v.perBlock()*v.graph.Tokens.Dim(2), v.perBlock()*v.graph.Tokens.Dim(2)
	for r := range rows {
		v.estimator.Add(&v.scores, first+r, v.drawn[r*drawn:(r+1)*drawn], targets[r*n:(r+1)*n])
	}
}

// collect puts a pass's samples [n, P, K] where the estimator wants them, [P, samples, K]. The last pass may have drawn
// more than are wanted.
func (v *LMEvaluator) collect(pass int) {
	tokens := v.program.Ints(v.graph.Tokens)
	n, positions, k := v.graph.Tokens.Dim(0), v.graph.Tokens.Dim(1), v.graph.Tokens.Dim(2)
	for s := range min(n, v.samples-pass*n) {
		for p := range positions {
			copy(v.drawn[(p*v.samples+pass*n+s)*k:][:k], tokens[(s*positions+p)*k:])
		}
	}
}
