package eval

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/nn/cpu"
)

// arAtOnce bounds the tokens that go through the baseline at a time.
const arAtOnce = 1 << 13

// ARResult is how likely the text is to the token-level baseline. Of its Brier scores, in percent, the first is exact;
// beyond it only the collisions of prefixes are sampled. Positions are those with four tokens behind them.
type ARResult struct {
	brier.Result
	CrossEntropy float64 `json:"cross_entropy"` // nats a token
	Perplexity   float64 `json:"perplexity"`    // exp(cross entropy)
	Accuracy     float64 `json:"accuracy"`      // share of tokens that were the likeliest, in [0, 1]
	BlockSize    int     `json:"block_size"`    // tokens
	Tokens       int     `json:"tokens"`        // predicted: all but each block's first
	Rollouts     []int   `json:"rollouts"`      // at how many positions a second, third and fourth token was drawn, see LMResult
	Seconds      float64 `json:"seconds"`
}

// AREvaluator measures a token-level baseline again and again.
type AREvaluator struct {
	options  Options
	selected *selection
	graph    *ar.Evaluation
	program  *cpu.Program
	further  *furtherAR
	scores   brier.Accumulator
	ids      []int32 // [rows, T]
}

// NewAR makes an evaluator on text in the language model's layout, of any patch size.
func NewAR(e *cpu.Engine, m *ar.Model, blocks *corpus.Blocks, o Options) (*AREvaluator, error) {
	if err := errors.Join(o.check(), checkLayout(blocks, corpus.Language, 1, windowless(1, false)+1)); err != nil {
		return nil, err
	}
	t := blocks.Layout().BlockSize
	v := &AREvaluator{options: o, selected: selectBlocks(blocks, o, min(arAtOnce, cachedAtOnce/cached(m.Backbone.Config)))}
	v.graph = m.Evaluation(v.selected.rows, t, 2)
	v.program = e.Compile(v.graph.Graph, cpu.Inference)
	v.further = newFurtherAR(e, m, t, v.graph, v.program)
	v.ids = make([]int32, v.selected.rows*t)
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
	v.scores.Reset()
	clear(v.further.rounds)
	loss, hits, tokens := 0.0, 0, 0 // summed over tokens
	err := v.selected.each(ctx, v.options.Progress, func(batch, rows int, ids []int32) error {
		clear(v.ids[copy(v.ids, ids):]) // rows that the last batch lacks are id 0, and not counted
		if err := v.graph.Fill(v.program, v.ids); err != nil {
			return err
		}
		v.program.SetDraws(v.options.stream(), uint64(batch))
		if err := v.program.Forward(); err != nil {
			return err
		}
		n := rows * (t - 1)
		tokens += n
		best, labels := v.program.Ints(v.graph.Tokens.Best), v.program.Ints(v.graph.Labels)
		for i, logP := range v.program.Floats(v.graph.Tokens.LogP)[:n] {
			loss -= float64(logP)
			if best[i] == labels[i] {
				hits++
			}
		}
		if err := finite("cross entropy", loss); err != nil {
			return err
		}
		return v.further.score(ctx, &v.scores, batch*v.selected.rows, rows, v.further.draws(v.options.stream(), batch))
	})
	if err != nil {
		return ARResult{}, err
	}
	r := ARResult{Result: v.scores.Result(v.options.Seed), CrossEntropy: loss / float64(tokens), Accuracy: float64(hits) / float64(tokens),
		BlockSize: t, Tokens: tokens, Rollouts: v.further.made()}
	r.Perplexity = min(math.Exp(r.CrossEntropy), math.MaxFloat64) // an infinity could not be written as JSON
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// furtherAR scores the baseline: what is known of its distributions exactly, and where two sampled prefixes are equal.
type furtherAR struct {
	*rollout
	*pairs
	graph     *ar.Evaluation
	program   *cpu.Program
	collision [][brier.N]float64 // by window: of the token behind each sampled prefix that was reached
}

func newFurtherAR(e *cpu.Engine, m *ar.Model, tokens int, graph *ar.Evaluation, p *cpu.Program) *furtherAR {
	x, rows := extentOf(1, tokens, false), graph.IDs.Dim(0)
	f := &furtherAR{rollout: newRollout(x, m.NewBranches(e, graph, p), rows), graph: graph, program: p,
		collision: make([][brier.N]float64, rows*x.windows)}
	f.pairs = newPairs(m.Config.HiddenSize, func(size int) pairSampler {
		s := m.NewSampler(e, size, 2)
		return func(round int, windows []int, hidden []float32, seed, step uint64) ([]int32, error) {
			drawn, err := s.Draw(hidden, nil, seed, step)
			if err != nil {
				return nil, err
			}
			for i, w := range windows {
				f.collision[w][round] = float64(drawn.Collision[i])
			}
			return drawn.Tokens, nil
		}
	})
	return f
}

// score adds what the program's last run drew in a batch's rows, blocks number first and following, to the scores. d
// gives the further tokens.
func (f *furtherAR) score(ctx context.Context, scores *brier.Accumulator, first, rows int, d draw) error {
	perRow := f.graph.IDs.Dim(1)
	draws, logP, collision := f.program.Ints(f.graph.Tokens.Draws), f.program.Floats(f.graph.Tokens.LogP), f.program.Floats(f.graph.Tokens.Collision)
	n := len(logP)
	position := func(window int) int { return window/f.windows*perRow + window%f.windows }
	f.begin()
	for w := range rows * f.windows {
		at := position(w)
		f.collision[w][0] = float64(collision[at])
		f.add(w, 0, draws[at:at+1], draws[n+at:n+at+1])
	}
	if err := f.run(ctx, d); err != nil {
		return err
	}
	for w := range rows * f.windows {
		var likelihood [brier.N]float64
		for j, l := range logP[position(w):][:brier.N] {
			likelihood[j] = math.Exp(float64(l))
		}
		scores.Add(first+w/f.windows, brier.Autoregressive(likelihood, f.collision[w], f.agree[w]))
	}
	return nil
}
