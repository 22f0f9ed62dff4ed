package train

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// Objective is what a Trainer trains: a graph with a loss, and how a batch of tokens enters it.
type Objective struct {
	Graph  *nn.Graph
	Params *nn.Params
	Layout corpus.Layout
	// Fill writes a batch of ids [B, T] into the compiled graph's inputs.
	Fill func(p *cpu.Program, ids []int32) error
	// Figures reads what the last run measured, besides the loss.
	Figures func(p *cpu.Program) []Figure

	// Auxiliary switches auxiliary losses on or off for the steps that follow; nil where there are none. They are on for
	// the part AuxiliaryUntil of the steps, and for all of them if it is 1.
	Auxiliary      func(on bool)
	AuxiliaryUntil float64
}

// auxiliary reports whether auxiliary losses are on in step s, counted from 0, of a run of total steps; 0 stands for a
// run whose end is not known yet.
func (o *Objective) auxiliary(s, total int) bool {
	return total <= 0 || o.AuxiliaryUntil >= 1 || s < o.AuxiliarySteps(total)
}

// AuxiliarySteps returns how many of total steps have auxiliary losses on: the first so many.
func (o *Objective) AuxiliarySteps(total int) int {
	return int(math.Ceil(o.AuxiliaryUntil * float64(total)))
}

// Figure is one measured number, under the name it has in metrics.jsonl.
type Figure struct {
	Name  string
	Value float64
}

// Autoencoder is the objective of an autoencoder (SPEC section 2) over batches of c's size.
func Autoencoder(m *autoencoder.Model, c Config) (*Objective, error) {
	k := m.Config.PatchSize
	if err := c.WholePatches(k, 1); err != nil {
		return nil, err
	}
	patches := c.BatchSize * c.BlockSize / k
	t := m.Training(patches)
	return &Objective{
		Graph: t.Graph, Params: m.Params,
		Layout: corpus.Layout{Kind: corpus.Autoencoder, PatchSize: k, BlockSize: c.BlockSize},
		Fill: func(p *cpu.Program, ids []int32) error {
			copy(p.Ints(t.IDs), ids)
			return nil
		},
		Figures: func(p *cpu.Program) []Figure {
			return []Figure{
				{"cross_entropy", float64(p.Scalar(t.Tokens.Loss))},
				{"train_accuracy", float64(p.Scalar(t.Tokens.Hits)) / float64(patches*k)},
				{"kl", float64(p.Scalar(t.KL))},
			}
		},
	}, nil
}

// LanguageModel is the objective of a language model (SPEC section 3) over batches of c's size.
func LanguageModel(m *lm.Model, c Config) (*Objective, error) {
	k := m.Config.PatchSize
	if err := c.WholePatches(k, 2); err != nil {
		return nil, err
	}
	t := m.Training(c.BatchSize, c.BlockSize)
	tokens := true // whether the token loss is on
	o := &Objective{
		Graph: t.Graph, Params: m.Params,
		Layout: corpus.Layout{Kind: corpus.Language, PatchSize: k, BlockSize: c.BlockSize},
		Fill: func(p *cpu.Program, ids []int32) error {
			if err := t.Fill(p, ids, nil); err != nil || tokens {
				return err
			}
			t.IgnoreLabels(p)
			return nil
		},
		Figures: func(p *cpu.Program) []Figure {
			var figures []Figure
			for _, f := range t.Head.Figures {
				figures = append(figures, Figure{f.Name, float64(p.Scalar(f.Value))})
			}
			if t.Anchor != nil {
				figures = append(figures, Figure{"anchor_loss", float64(p.Scalar(t.Anchor))})
			}
			if !tokens {
				return figures
			}
			return append(figures, tokenFigures(p, t.Tokens)...)
		},
	}
	if len(t.Tokens) > 0 {
		o.AuxiliaryUntil = m.Config.TokenLossUntil
		o.Auxiliary = func(on bool) {
			tokens = on
			m.LearnTokens(on)
		}
	}
	return o, nil
}

// tokenFigures are the mean cross entropy of the auxiliary heads and the Brier score of each.
func tokenFigures(p *cpu.Program, heads []*nn.CrossEntropy) []Figure {
	var loss float64
	var briers []Figure
	for i, h := range heads {
		loss += float64(p.Scalar(h.Loss)) / float64(len(heads))
		briers = append(briers, Figure{TokenBrier(i), 100 * float64(p.Scalar(h.Brier))})
	}
	if len(heads) == 0 {
		return nil
	}
	return append([]Figure{{TokenLoss, loss}}, briers...)
}

// TokenLoss is the name of the auxiliary heads' mean cross entropy among figures.
const TokenLoss = "token_loss"

// TokenBrier is the name of the Brier score of token i of a patch, from 0, among figures.
func TokenBrier(i int) string { return fmt.Sprintf("token_brier_%d", i+1) }

// Autoregressive is the objective of the token-level baseline (SPEC section 3.4) over batches of c's size.
func Autoregressive(m *ar.Model, c Config) (*Objective, error) {
	if err := c.WholePatches(1, 2); err != nil {
		return nil, err
	}
	t := m.Training(c.BatchSize, c.BlockSize)
	return &Objective{
		Graph: t.Graph, Params: m.Params,
		Layout: corpus.Layout{Kind: corpus.Language, PatchSize: 1, BlockSize: c.BlockSize},
		Fill:   func(p *cpu.Program, ids []int32) error { return t.Fill(p.Ints, ids) },
		Figures: func(p *cpu.Program) []Figure {
			return []Figure{
				{"cross_entropy", float64(p.Scalar(t.Tokens.Loss))},
				{"token_brier_1", 100 * float64(p.Scalar(t.Tokens.Brier))},
			}
		},
	}, nil
}
