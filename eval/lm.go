package eval

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/head"
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
	HeadLoss
	// TokenLoss and TokenBrier are of the auxiliary heads, of a model in training that has them: their mean cross entropy,
	// and the exact Brier score of each token of the patch.
	TokenLoss  float64   `json:"token_loss,omitzero"`
	TokenBrier []float64 `json:"token_brier,omitempty"`

	Samples   int `json:"samples"`    // patches drawn a position; 2 where patches have fewer than 4 tokens
	BlockSize int `json:"block_size"` // tokens; BrierLM depends on it
	Tokens    int `json:"tokens"`     // predicted: all but each block's first patch
	// Rollouts is what patches of fewer than 4 tokens cost besides: for the first further patch, the second, .. at how many
	// positions it was drawn, twice, because the samples were still equal.
	Rollouts []int `json:"rollouts,omitempty"`
	// Diverged is how many of the head's draws diverged, of Drawn. Each counts as tokens that the text never has, and that
	// coincide with those of others that diverged: one more outcome of the model's distribution.
	Diverged int     `json:"diverged,omitzero"`
	Drawn    int     `json:"drawn"`
	Seconds  float64 `json:"seconds"`
}

// LMEvaluator measures a language model again and again.
type LMEvaluator struct {
	options   Options
	extent    extent
	selected  *selection
	graph     *lm.Evaluation
	program   *cpu.Program
	drawn     *drawn
	estimator *brier.Estimator // of whole patches; nil where they are too short
	further   *furtherLM       // of shorter ones; nil where they are long enough
	scores    brier.Accumulator

	passes      int     // runs that the samples of a batch take
	ids, labels []int32 // [rows, T]
}

// MaxSamples bounds the samples of a position: more narrow no interval by what they cost.
const MaxSamples = 10_000

// NewLM makes an evaluator on text in the language model's layout.
func NewLM(e *cpu.Engine, m *lm.Model, blocks *corpus.Blocks, o Options) (*LMEvaluator, error) {
	if o.Samples == 0 {
		o.Samples = 2
	}
	k := m.Config.PatchSize
	if err := errors.Join(o.check(), checkLayout(blocks, corpus.Language, k, windowless(k, o.ReferenceWindows)+1)); err != nil {
		return nil, err
	}
	if o.Samples < 2 || o.Samples > MaxSamples {
		return nil, fmt.Errorf("evaluation: %d samples a position: want 2 to %d; one alone never coincides with another", o.Samples, MaxSamples)
	}
	t := blocks.Layout().BlockSize
	v := &LMEvaluator{options: o, extent: extentOf(k, t, o.ReferenceWindows)}
	short := v.extent.further > 0
	samples, atOnce := o.Samples, decodedAtOnce/o.Samples
	if short {
		samples, atOnce = 2, min(decodedAtOnce/2, cachedAtOnce/cached(m.Backbone.Config)*k)
	}
	v.selected = selectBlocks(blocks, o, max(t, atOnce))
	v.ids, v.labels = make([]int32, v.selected.rows*t), make([]int32, v.selected.rows*t)
	v.describe(m, t, samples)
	if short {
		backbone.Outputs(v.graph.Graph, v.graph.Caches)
	}
	v.program = e.Compile(v.graph.Graph, cpu.Inference)
	v.drawn = newDrawn(e, m, v.graph, samples, short)
	if short {
		v.further = newFurtherLM(e, m, v.extent, v.graph, v.program)
		return v, nil
	}
	var err error
	v.estimator, err = brier.NewEstimator(samples, k)
	return v, err
}

// describe makes the graph: with the energy head all samples of a position in one run, or as many as fit, two at least;
// with the others the loss and the hidden states.
func (v *LMEvaluator) describe(m *lm.Model, t, samples int) {
	v.passes = 1
	perPass := m.Config.NumSamples
	if m.Config.ModelType == head.EnergyType {
		perPass = max(2, min(samples, decodedAtOnce/(v.selected.rows*t)))
		v.passes = (samples + perPass - 1) / perPass
		perPass = max(2, (samples+v.passes-1)/v.passes)
	}
	v.graph = m.Evaluation(v.selected.rows, t, perPass)
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
	v.drawn.diverged = 0
	if v.further != nil {
		clear(v.further.rounds)
		v.further.diverged = 0
	}
	// Summed over positions.
	losses, tokens := make([]float64, len(v.graph.Head.Figures)), tokenScores{briers: make([]float64, len(v.graph.TokenHeads))}
	err := v.selected.each(ctx, v.options.Progress, func(batch, rows int, ids []int32) error {
		err := v.batch(ctx, batch, rows, ids, losses)
		tokens.add(v.program, v.graph.TokenHeads, float64(rows*v.perBlock()))
		return err
	})
	if err != nil {
		return LMResult{}, err
	}
	predicted := v.selected.total * v.perBlock()
	r := LMResult{Result: v.scores.Result(v.options.Seed), Samples: v.drawn.n, BlockSize: v.selected.blocks.Layout().BlockSize,
		Tokens: predicted * v.extent.patch, Diverged: v.drawn.diverged, Drawn: predicted * v.drawn.n}
	for i, f := range v.graph.Head.Figures {
		*r.figure(f.Name) = losses[i] / float64(predicted)
	}
	r.TokenLoss, r.TokenBrier = tokens.mean(float64(predicted))
	if v.further != nil {
		r.Rollouts = v.further.made()
		r.Diverged += v.further.diverged
		for _, n := range r.Rollouts {
			r.Drawn += 2 * n
		}
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// batch scores a batch of blocks and adds the head's figures, summed over its positions, to losses.
func (v *LMEvaluator) batch(ctx context.Context, batch, rows int, ids []int32, losses []float64) error {
	if err := v.fill(ids); err != nil {
		return err
	}
	positions := float64(rows * v.perBlock())
	for pass := range v.passes {
		if err := ctx.Err(); err != nil {
			return err
		}
		v.program.SetDraws(v.options.stream(), uint64(batch*v.passes+pass))
		if err := v.program.Forward(); err != nil {
			return err
		}
		for i, f := range v.graph.Head.Figures {
			value := float64(v.program.Scalar(f.Value))
			if err := finite(strings.ReplaceAll(f.Name, "_", " "), value); err != nil {
				return err
			}
			losses[i] += value / float64(v.passes) * positions
		}
		if v.graph.Tokens != nil {
			v.drawn.collect(v.program.Ints(v.graph.Tokens), pass*v.graph.Tokens.Dim(0))
		}
	}
	if err := v.drawn.sample(ctx, v.program.Floats(v.graph.Hidden), v.options.stream(), batch); err != nil {
		return err
	}
	return v.score(ctx, batch, rows)
}

// fill writes a batch into the program. Rows that the last batch lacks are id 0 and no targets.
func (v *LMEvaluator) fill(ids []int32) error {
	n := copy(v.ids, ids)
	clear(v.ids[n:])
	copy(v.labels, v.ids)
	for i := n; i < len(v.labels); i++ {
		v.labels[i] = lm.Ignored
	}
	return v.graph.Fill(v.program, v.ids, v.labels)
}

// perBlock returns the number of positions of a block.
func (v *LMEvaluator) perBlock() int { return v.graph.Inputs.Dim(1) }

// score adds the samples of a batch's rows to the scores.
func (v *LMEvaluator) score(ctx context.Context, batch, rows int) error {
	first := batch * v.selected.rows
	if v.further != nil {
		return v.further.score(ctx, &v.scores, first, rows, v.drawn.tokens, v.further.draws(v.options.stream(), batch))
	}
	targets, n := v.program.Ints(v.graph.Targets), v.perBlock()*v.extent.patch
	samples := v.drawn.n * n
	for r := range rows {
		v.estimator.Add(&v.scores, first+r, v.drawn.tokens[r*samples:(r+1)*samples], targets[r*n:(r+1)*n])
	}
	return nil
}
