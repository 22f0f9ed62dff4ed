package ar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn/cpu"
)

// measuredAtOnce is the maximum number of tokens in a run of a measurement.
const measuredAtOnce = 1 << 13

// Measurement says how well the token-level baseline predicts the text. Brier scores are in percent. Brier-1 is exact;
// in the others only the collisions of prefixes are sampled. Positions are those that four tokens follow.
type Measurement struct {
	brier.Result
	CrossEntropy float64 `json:"cross_entropy"` // nats a token
	Perplexity   float64 `json:"perplexity"`    // exp(cross entropy), at most the largest float64
	Accuracy     float64 `json:"accuracy"`      // share of tokens that were the likeliest, in [0, 1]
	BlockSize    int     `json:"block_size"`    // tokens a block
	Tokens       int     `json:"tokens"`        // number of tokens predicted: all but each block's first
	Rollouts     []int   `json:"rollouts"`      // at how many positions a second, third and fourth token was drawn
	Seconds      float64 `json:"seconds"`       // that the measurement took
}

// Metrics lists the metrics that training logs.
func (r Measurement) Metrics() []metric.Metric {
	return append([]metric.Metric{{Name: metric.CrossEntropy, Value: r.CrossEntropy}, {Name: metric.Perplexity, Value: r.Perplexity},
		{Name: metric.Accuracy, Value: r.Accuracy}}, eval.Scores(r.Result)...)
}

// Print writes the measurement for people.
func (r Measurement) Print(w io.Writer) {
	fmt.Fprintf(w, "  tokens         %d in %s of %d\n  cross entropy  %.4f nats a token\n  perplexity     %.3f\n  accuracy       %.2f %%\n",
		r.Tokens, plural.Count(r.Blocks, "block"), r.BlockSize, r.CrossEntropy, r.Perplexity, 100*r.Accuracy)
	eval.PrintScores(w, r.Result, r.Rollouts)
}

// Evaluator measures a token-level baseline, each time that Run is called: a training run needs it many times.
type Evaluator struct {
	options  eval.Options
	selected *eval.Selection
	graph    *Evaluation
	program  *cpu.Program
	further  *further
	scores   brier.Accumulator
	ids      []int32 // [rows, T]
}

// NewEvaluator makes an evaluator on text in the language model's layout, of any patch size.
func NewEvaluator(e *cpu.Engine, m *Model, blocks *corpus.Blocks, o eval.Options) (*Evaluator, error) {
	if err := errors.Join(o.Check(), eval.CheckLayout(blocks, corpus.Language, 1, eval.LeastPatches(1, false))); err != nil {
		return nil, err
	}
	t := blocks.Layout().BlockSize
	v := &Evaluator{options: o, selected: eval.Select(blocks, o, min(measuredAtOnce, eval.Cacheable(m.Backbone.Config)))}
	v.graph = m.Evaluation(v.selected.Rows, t, 2)
	v.program = e.Compile(v.graph.Graph, cpu.Inference)
	v.further = newFurther(e, m, t, v.graph, v.program)
	v.ids = make([]int32, v.selected.Rows*t)
	return v, nil
}

// Evaluator is NewEvaluator with the result type that package run needs.
func (m *Model) Evaluator(e *cpu.Engine, blocks *corpus.Blocks, o eval.Options) (eval.Evaluator, error) {
	return eval.AsEvaluator(NewEvaluator(e, m, blocks, o))
}

// Unused lists the options that do not change the measurement.
func (m *Model) Unused(eval.Options) []eval.Unused {
	return []eval.Unused{eval.UnusedNoise, eval.UnusedSamples, eval.UnusedWindows}
}

// Run measures the model with its current weights.
func (v *Evaluator) Run(ctx context.Context) (Measurement, error) {
	start := time.Now()
	t := v.selected.BlockSize()
	v.scores.Reset()
	v.further.Reset()
	loss, hits, tokens := 0.0, 0, 0 // summed over tokens
	err := v.selected.Each(ctx, v.options.Progress, func(batch, rows int, ids []int32) error {
		clear(v.ids[copy(v.ids, ids):]) // the last batch may have fewer rows: the remaining rows are id 0, and not counted
		if err := v.graph.Fill(v.program, v.ids); err != nil {
			return err
		}
		v.program.SetDraws(v.options.Stream(), uint64(batch))
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
		if err := eval.Finite("cross entropy", loss); err != nil {
			return err
		}
		return v.further.score(ctx, &v.scores, batch*v.selected.Rows, rows, v.further.Draws(v.options.Stream(), batch))
	})
	if err != nil {
		return Measurement{}, err
	}
	r := Measurement{Result: v.scores.Result(v.options.Seed), CrossEntropy: loss / float64(tokens), Accuracy: float64(hits) / float64(tokens),
		BlockSize: t, Tokens: tokens, Rollouts: v.further.Made()}
	r.Perplexity = min(math.Exp(r.CrossEntropy), math.MaxFloat64) // an infinity could not be written as JSON
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// further scores the baseline. It knows the likelihood of the text and the collision probability of the next token
// exactly; whether two prefixes are equal is sampled.
type further struct {
	*eval.Rollout
	*eval.Pairs
	graph     *Evaluation
	program   *cpu.Program
	collision [][brier.N]float64 // by window: the collision probability of the token after each sampled prefix
}

func newFurther(e *cpu.Engine, m *Model, tokens int, graph *Evaluation, p *cpu.Program) *further {
	x, rows := eval.ExtentOf(1, tokens, false), graph.IDs.Dim(0)
	f := &further{Rollout: eval.NewRollout(x, m.NewBranches(e, graph, p), rows), graph: graph, program: p,
		collision: make([][brier.N]float64, rows*x.Windows)}
	f.Pairs = eval.NewPairs(m.Config.HiddenSize, func(size int) eval.PairSampler {
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

// score adds the last run of the program to the scores. Row i is block first+i. d draws the further
// tokens.
func (f *further) score(ctx context.Context, scores *brier.Accumulator, first, rows int, d eval.Draw) error {
	perRow := f.graph.IDs.Dim(1)
	draws, logP, collision := f.program.Ints(f.graph.Tokens.Draws), f.program.Floats(f.graph.Tokens.LogP), f.program.Floats(f.graph.Tokens.Collision)
	n := len(logP)
	position := func(window int) int { return window/f.Windows*perRow + window%f.Windows }
	f.Begin()
	for w := range rows * f.Windows {
		at := position(w)
		f.collision[w][0] = float64(collision[at])
		f.Add(w, 0, draws[at:at+1], draws[n+at:n+at+1])
	}
	if err := f.Run(ctx, d); err != nil {
		return err
	}
	for w := range rows * f.Windows {
		var likelihood [brier.N]float64
		for j, l := range logP[position(w):][:brier.N] {
			likelihood[j] = math.Exp(float64(l))
		}
		scores.Add(first+w/f.Windows, brier.Autoregressive(likelihood, f.collision[w], f.Agree[w]))
	}
	return nil
}
