package autoencoder

import (
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// Layout returns how text is cut into blocks of that many tokens: each document is padded to whole patches.
func (m *Model) Layout(block int) corpus.Layout {
	return corpus.Layout{Kind: corpus.Autoencoder, PatchSize: m.Config.PatchSize, BlockSize: block}
}

// Initialize draws the parameters that have no values yet.
func (m *Model) Initialize(seed uint64) { m.Params.Initialize(seed) }

// Objective returns what training optimizes (docs/spec.md, section 2), with batches of the size in c. A block_size that
// is no multiple of the patch size is a *config.Error.
func (m *Model) Objective(c train.Config) (*train.Objective, error) {
	k := m.Config.PatchSize
	if err := c.WholePatches(k, 1); err != nil {
		return nil, err
	}
	patches := c.BatchSize * c.BlockSize / k
	t := m.Training(patches)
	return &train.Objective{
		Graph: t.Graph, Params: m.Params, Layout: m.Layout(c.BlockSize),
		Fill: func(v nn.Values, ids []int32) error {
			copy(v.Ints(t.IDs), ids)
			return nil
		},
		Metrics: func(v nn.Values) []metric.Metric {
			return []metric.Metric{
				{Name: metric.CrossEntropy, Value: float64(v.Scalar(t.Tokens.Loss))},
				{Name: "train_accuracy", Value: float64(v.Scalar(t.Tokens.Hits)) / float64(patches*k)},
				{Name: metric.KL, Value: float64(v.Scalar(t.KL))},
			}
		},
	}, nil
}

// Vocabulary returns the tokens that the model knows.
func (m *Model) Vocabulary() tokenizer.Vocabulary {
	c := m.Config
	return tokenizer.Vocabulary{Size: c.VocabSize, BOS: int32(c.BOSTokenID), EOS: int32(c.EOSTokenID), PAD: int32(c.PadTokenID)}
}
