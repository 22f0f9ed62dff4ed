package ar

import (
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// Layout returns how text is cut into blocks of that many tokens.
func (m *Model) Layout(block int) corpus.Layout {
	return corpus.Layout{Kind: corpus.Language, PatchSize: 1, BlockSize: block}
}

// Initialize draws the parameters that have no values yet.
func (m *Model) Initialize(seed uint64) { m.Params.Initialize(seed) }

// Objective returns what training optimizes (docs/spec.md, section 3.4), with batches of the size in c. A block_size
// below 2 is a *config.Error.
func (m *Model) Objective(c train.Config) (*train.Objective, error) {
	if err := c.WholePatches(1, 2); err != nil {
		return nil, err
	}
	t := m.Training(c.BatchSize, c.BlockSize)
	return &train.Objective{
		Graph: t.Graph, Params: m.Params, Layout: m.Layout(c.BlockSize),
		Fill: t.Fill,
		Metrics: func(v nn.Values) []metric.Metric {
			return []metric.Metric{
				{Name: metric.CrossEntropy, Value: float64(v.Scalar(t.Tokens.Loss))},
				{Name: metric.TokenBrier(0), Value: 100 * float64(v.Scalar(t.Tokens.Brier))},
			}
		},
	}, nil
}

// Vocabulary returns the tokens that the model knows. It has no padding token: PAD is EOS.
func (m *Model) Vocabulary() tokenizer.Vocabulary {
	c := m.Config
	return tokenizer.Vocabulary{Size: c.VocabSize, BOS: int32(c.BOSTokenID), EOS: int32(c.EOSTokenID), PAD: int32(c.EOSTokenID)}
}
