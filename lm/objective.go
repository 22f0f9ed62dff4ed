package lm

import (
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/tokenizer"
	"github.com/calm-go/calm/train"
)

// Layout returns how text is cut into blocks of that many tokens: documents are joined without padding, so a patch may
// have tokens of two.
func (m *Model) Layout(block int) corpus.Layout {
	return corpus.Layout{Kind: corpus.Language, PatchSize: m.Config.PatchSize, BlockSize: block}
}

// Objective returns what training optimizes (docs/spec.md, section 3), with batches of the size in c. A block_size that
// is not two or more whole patches is a *config.Error.
func (m *Model) Objective(c train.Config) (*train.Objective, error) {
	k := m.Config.PatchSize
	if err := c.WholePatches(k, 2); err != nil {
		return nil, err
	}
	o := &objective{Training: m.Training(c.BatchSize, c.BlockSize), tokens: true}
	out := &train.Objective{Graph: o.Graph, Params: m.Params, Layout: m.Layout(c.BlockSize), Fill: o.fill, Metrics: o.metrics}
	if len(o.Tokens) > 0 {
		out.Auxiliary = &train.Auxiliary{
			Until:  m.Config.TokenLossUntil,
			Params: m.tokenHeads,
			Switch: func(on bool) {
				o.tokens = on
				m.LearnTokens(on)
			},
			Without: func() *nn.Graph {
				plain := m.Config
				plain.TokenLossWeight = 0
				return New(plain, m.Autoencoder.Config, nn.NewParams()).Training(c.BatchSize, c.BlockSize).Graph
			},
		}
	}
	return out, nil
}

// objective is a training step with a token loss that can be switched off.
type objective struct {
	*Training
	tokens bool // whether the token loss is on
}

func (o *objective) fill(v nn.Values, ids []int32) error {
	if err := o.Fill(v, ids, nil); err != nil || o.tokens {
		return err
	}
	o.IgnoreLabels(v)
	return nil
}

func (o *objective) metrics(v nn.Values) []metric.Metric {
	var list []metric.Metric
	for _, f := range o.Head.Metrics {
		list = append(list, metric.Metric{Name: f.Name, Value: float64(v.Scalar(f.Value))})
	}
	if o.Anchor != nil {
		list = append(list, metric.Metric{Name: metric.Anchor, Value: float64(v.Scalar(o.Anchor))})
	}
	if !o.tokens {
		return list
	}
	return append(list, tokenMetrics(v, o.Tokens)...)
}

// tokenMetrics are the mean cross entropy of the auxiliary heads and the Brier score of each; none without heads.
func tokenMetrics(v nn.Values, heads []*nn.CrossEntropy) []metric.Metric {
	if len(heads) == 0 {
		return nil
	}
	var loss float64
	var briers []metric.Metric
	for i, h := range heads {
		loss += float64(v.Scalar(h.Loss)) / float64(len(heads))
		briers = append(briers, metric.Metric{Name: metric.TokenBrier(i), Value: 100 * float64(v.Scalar(h.Brier))})
	}
	return append([]metric.Metric{{Name: metric.TokenLoss, Value: loss}}, briers...)
}

// Vocabulary returns the tokens that the model knows.
func (m *Model) Vocabulary() tokenizer.Vocabulary {
	c := m.Config
	return tokenizer.Vocabulary{Size: c.VocabSize, BOS: int32(c.BOSTokenID), EOS: int32(c.EOSTokenID), PAD: int32(c.PadTokenID)}
}
