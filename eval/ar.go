package eval

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/nn/cpu"
)

// arAtOnce bounds the tokens that go through the baseline at a time.
const arAtOnce = 1 << 13

// ARResult is how likely the text is to the token-level baseline.
type ARResult struct {
	CrossEntropy float64 `json:"cross_entropy"` // nats a token
	Perplexity   float64 `json:"perplexity"`    // exp(cross entropy)
	Brier1       float64 `json:"brier_1"`       // exact, in percent
	Accuracy     float64 `json:"accuracy"`      // share of tokens that were the likeliest, in [0, 1]
	Blocks       int     `json:"blocks"`
	BlockSize    int     `json:"block_size"` // tokens
	Tokens       int     `json:"tokens"`     // predicted: all but each block's first
	Seconds      float64 `json:"seconds"`
}

// AREvaluator measures a token-level baseline again and again.
type AREvaluator struct {
	options  Options
	selected *selection
	graph    *ar.Training
	program  *cpu.Program
	ids      []int32 // [rows, T]
}

// NewAR makes an evaluator on text in the language model's layout, of any patch size.
func NewAR(e *cpu.Engine, m *ar.Model, blocks *corpus.Blocks, o Options) (*AREvaluator, error) {
	if err := errors.Join(o.check(), checkLayout(blocks, corpus.Language, 1, 2)); err != nil {
		return nil, err
	}
	v := &AREvaluator{options: o, selected: selectBlocks(blocks, o, arAtOnce)}
	v.graph = m.Training(v.selected.rows, blocks.Layout().BlockSize)
	v.program = e.Compile(v.graph.Graph, cpu.Inference)
	v.ids = make([]int32, v.graph.IDs.Size())
	return v, nil
}

// AR measures a token-level baseline on text in the language model's layout.
func AR(ctx context.Context, e *cpu.Engine, m *ar.Model, blocks *corpus.Blocks, o Options) (ARResult, error) {
	v, err := NewAR(e, m, blocks, o)
	if err != nil {
		return ARResult{}, err
	}
	return v.Run(ctx)
}

// Run measures the weights as they are now.
func (v *AREvaluator) Run(ctx context.Context) (ARResult, error) {
	start := time.Now()
	t := v.selected.blocks.Layout().BlockSize
	r := ARResult{Blocks: v.selected.total, BlockSize: t}
	var loss, brier, hits float64 // summed over tokens
	err := v.selected.each(ctx, v.options.Progress, func(_, rows int, ids []int32) error {
		clear(v.ids[copy(v.ids, ids):])
		if err := v.graph.Fill(v.program.Ints, v.ids); err != nil {
			return err
		}
		labels := v.program.Ints(v.graph.Labels)[rows*t:] // of rows that the last batch lacks
		for i := range labels {
			labels[i] = ar.Ignored
		}
		if err := v.program.Forward(); err != nil {
			return err
		}
		n := rows * (t - 1)
		r.Tokens += n
		loss += float64(v.program.Scalar(v.graph.Tokens.Loss)) * float64(n)
		brier += float64(v.program.Scalar(v.graph.Tokens.Brier)) * float64(n)
		hits += float64(v.program.Scalar(v.graph.Tokens.Hits))
		return finite("cross entropy", loss)
	})
	if err != nil {
		return ARResult{}, err
	}
	n := float64(r.Tokens)
	r.CrossEntropy, r.Brier1, r.Accuracy = loss/n, 100*brier/n, hits/n
	r.Perplexity = min(math.Exp(r.CrossEntropy), math.MaxFloat64) // an infinity could not be written as JSON
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}
