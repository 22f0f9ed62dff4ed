package lm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn/cpu"
)

// decodedAtOnce is the maximum number of tokens decoded in a run, which limits the memory of an evaluation: 550 MB at
// the published autoencoder's sizes. One block with two samples is decoded in a run whatever its size.
const decodedAtOnce = 1 << 15

// Measurement says how close a language model's samples come to the text. Brier scores and BrierLM are in percent.
type Measurement struct {
	brier.Result
	// Head is the loss of the model's head on held-out text, as training minimises it, and its terms: the Metrics of
	// its head.Kind, the loss first. In JSON each is a key of the measurement.
	Head HeadMetrics `json:"-"`
	// TokenLoss and TokenBrier are of the auxiliary heads, of a model in training that has them: their mean cross entropy
	// in nats a token, and the exact Brier score of each token of the patch in percent, [K].
	TokenLoss  float64   `json:"token_loss,omitzero"`
	TokenBrier []float64 `json:"token_brier,omitempty"` // exact Brier scores of the auxiliary heads, in percent, [K]

	Samples   int `json:"samples"`    // number of patches drawn a position, 2 or more; 2 where patches have fewer than 4 tokens
	BlockSize int `json:"block_size"` // tokens of a block; BrierLM depends on it
	Tokens    int `json:"tokens"`     // number of tokens predicted: all but each block's first patch
	// Rollouts counts the further patches that a model with patches of fewer than 4 tokens draws. A position gets two
	// of them, one for each of its two samples, while these are still equal. Element i is the number of positions with
	// at least i+1 pairs of further patches.
	Rollouts []int `json:"rollouts,omitempty"`
	// Diverged is how many of the Drawn draws diverged. They count as one more outcome of the model's distribution:
	// tokens that the text never has, the same for all diverged draws.
	Diverged int     `json:"diverged,omitzero"`
	Drawn    int     `json:"drawn"`   // number of patches drawn, further ones included
	Seconds  float64 `json:"seconds"` // that the measurement took
}

// Metrics lists the metrics that training logs.
func (r Measurement) Metrics() []metric.Metric {
	list := slices.Clone(r.Head)
	if len(r.TokenBrier) > 0 {
		list = append(list, metric.Metric{Name: metric.TokenLoss, Value: r.TokenLoss})
	}
	for i, b := range r.TokenBrier {
		list = append(list, metric.Metric{Name: metric.TokenBrier(i), Value: b})
	}
	if r.Diverged > 0 { // as draws of a diffusion head do early in training
		list = append(list, metric.Metric{Name: metric.Diverged, Value: float64(r.Diverged) / float64(r.Drawn)})
	}
	return append(list, eval.Scores(r.Result)...)
}

// Print writes the measurement for people.
func (r Measurement) Print(w io.Writer) {
	fmt.Fprintf(w, "  positions      %d in %s of %s, %s each\n",
		r.Positions, plural.Count(r.Blocks, "block"), plural.Count(r.BlockSize, "token"), plural.Count(r.Samples, "sample"))
	for _, f := range r.Head {
		fmt.Fprintf(w, "  %-14s %.5f\n", strings.ReplaceAll(f.Name, "_", " "), f.Value)
	}
	if r.Diverged > 0 {
		fmt.Fprintf(w, "  diverged       %d of %s, none of which is right: train longer, or take more sampling_steps\n", r.Diverged, plural.Count(r.Drawn, "draw"))
	}
	eval.PrintScores(w, r.Result, r.Rollouts)
}

// Evaluator measures a language model, each time that Run is called: a training run needs it many times.
type Evaluator struct {
	options   eval.Options
	extent    eval.Extent
	selected  *eval.Selection
	graph     *Evaluation
	program   *cpu.Program
	drawn     *drawn
	estimator *brier.Estimator // of BrierLM within one patch; nil if patches have fewer than 4 tokens
	further   *further         // of BrierLM over several patches, if they have fewer than 4 tokens; else nil
	scores    brier.Accumulator

	passes      int     // runs that the samples of a batch take
	ids, labels []int32 // [rows, T]
}

// NewEvaluator makes an evaluator on text in the language model's layout.
func NewEvaluator(e *cpu.Engine, m *Model, blocks *corpus.Blocks, o eval.Options) (*Evaluator, error) {
	if o.Samples == 0 {
		o.Samples = 2
	}
	k := m.Config.PatchSize
	if err := errors.Join(o.Check(), eval.CheckLayout(blocks, corpus.Language, k, eval.LeastPatches(k, o.ReferenceWindows))); err != nil {
		return nil, err
	}
	if o.Samples < 2 || o.Samples > eval.MaxSamples {
		return nil, fmt.Errorf("evaluation: %d samples a position: want 2 to %d; the score compares samples with each other", o.Samples, eval.MaxSamples)
	}
	t := blocks.Layout().BlockSize
	v := &Evaluator{options: o, extent: eval.ExtentOf(k, t, o.ReferenceWindows)}
	short := v.extent.Further > 0
	samples, atOnce := o.Samples, decodedAtOnce/o.Samples
	if short {
		samples, atOnce = 2, min(decodedAtOnce/2, eval.Cacheable(m.Backbone.Config)*k)
	}
	v.selected = eval.Select(blocks, o, max(t, atOnce))
	v.ids, v.labels = make([]int32, v.selected.Rows*t), make([]int32, v.selected.Rows*t)
	v.describe(m, t, samples)
	if short {
		backbone.Outputs(v.graph.Graph, v.graph.Caches)
	}
	v.program = e.Compile(v.graph.Graph, cpu.Inference)
	sampler := func(rows, draws int) *Sampler { return m.NewSampler(e, rows, draws) }
	v.drawn = newDrawn(m, v.graph, samples, short, sampler)
	if short {
		v.further = newFurther(v.extent, v.graph, v.program, m.NewBranches(e, v.graph, v.program), sampler)
		return v, nil
	}
	var err error
	v.estimator, err = brier.NewEstimator(samples, k)
	return v, err
}

// describe makes the graph. If the head's loss scores samples, a run has all samples of a position, or as many as fit,
// but at least two. Otherwise it has only the loss and the hidden states, from which a sampler draws.
func (v *Evaluator) describe(m *Model, t, samples int) {
	v.passes = 1
	perPass := m.Config.NumSamples
	if least := max(2, m.HeadKind.MinSamples); m.HeadKind.ScoresSamples {
		perPass = max(least, min(samples, decodedAtOnce/(v.selected.Rows*t)))
		v.passes = (samples + perPass - 1) / perPass
		perPass = max(least, (samples+v.passes-1)/v.passes)
	}
	v.graph = m.Evaluation(v.selected.Rows, t, perPass)
}

// Evaluator is NewEvaluator with the result type that package run needs.
func (m *Model) Evaluator(e *cpu.Engine, blocks *corpus.Blocks, o eval.Options) (eval.Evaluator, error) {
	return eval.AsEvaluator(NewEvaluator(e, m, blocks, o))
}

// Unused lists the options that do not change the measurement.
func (m *Model) Unused(o eval.Options) []eval.Unused {
	switch {
	case m.Config.PatchSize >= brier.N:
		return []eval.Unused{eval.UnusedNoise, eval.UnusedWindows}
	case o.Samples != 2:
		return []eval.Unused{eval.UnusedNoise, eval.FixedSamples}
	}
	return []eval.Unused{eval.UnusedNoise}
}

// Run measures the model with its current weights.
func (v *Evaluator) Run(ctx context.Context) (Measurement, error) {
	start := time.Now()
	v.scores.Reset()
	v.drawn.diverged = 0
	if v.further != nil {
		v.further.Reset()
		v.further.diverged = 0
	}
	// Summed over positions.
	losses, tokens := make([]float64, len(v.graph.Head.Metrics)), tokenScores{briers: make([]float64, len(v.graph.TokenHeads))}
	err := v.selected.Each(ctx, v.options.Progress, func(batch, rows int, ids []int32) error {
		err := v.batch(ctx, batch, rows, ids, losses)
		tokens.add(v.program, v.graph.TokenHeads, float64(rows*v.perBlock()))
		return err
	})
	if err != nil {
		return Measurement{}, err
	}
	predicted := v.selected.Total * v.perBlock()
	r := Measurement{Result: v.scores.Result(v.options.Seed), Samples: v.drawn.n, BlockSize: v.selected.BlockSize(),
		Tokens: predicted * v.extent.Patch, Diverged: v.drawn.diverged, Drawn: predicted * v.drawn.n}
	for i, f := range v.graph.Head.Metrics {
		r.Head = append(r.Head, metric.Metric{Name: f.Name, Value: losses[i] / float64(predicted)})
	}
	r.TokenLoss, r.TokenBrier = tokens.mean(float64(predicted))
	if v.further != nil {
		r.Rollouts = v.further.Made()
		r.Diverged += v.further.diverged
		for _, n := range r.Rollouts {
			r.Drawn += 2 * n
		}
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// batch scores a batch of blocks and adds the head's metrics, summed over its positions, to losses.
func (v *Evaluator) batch(ctx context.Context, batch, rows int, ids []int32, losses []float64) error {
	if err := v.fill(ids); err != nil {
		return err
	}
	positions := float64(rows * v.perBlock())
	for pass := range v.passes {
		if err := ctx.Err(); err != nil {
			return err
		}
		v.program.SetDraws(v.options.Stream(), uint64(batch*v.passes+pass))
		if err := v.program.Forward(); err != nil {
			return err
		}
		for i, f := range v.graph.Head.Metrics {
			value := float64(v.program.Scalar(f.Value))
			if err := eval.Finite(strings.ReplaceAll(f.Name, "_", " "), value); err != nil {
				return err
			}
			losses[i] += value / float64(v.passes) * positions
		}
		if v.graph.Tokens != nil {
			v.drawn.collect(v.program.Ints(v.graph.Tokens), pass*v.graph.Tokens.Dim(0))
		}
	}
	if err := v.drawn.sample(ctx, v.program.Floats(v.graph.Hidden), v.options.Stream(), batch, rows*v.perBlock()); err != nil {
		return err
	}
	return v.score(ctx, batch, rows)
}

// fill writes a batch into the program. The last batch may have fewer rows: the remaining rows are id 0 and no targets.
func (v *Evaluator) fill(ids []int32) error {
	n := copy(v.ids, ids)
	clear(v.ids[n:])
	copy(v.labels, v.ids)
	for i := n; i < len(v.labels); i++ {
		v.labels[i] = Ignored
	}
	return v.graph.Fill(v.program, v.ids, v.labels)
}

// perBlock returns the number of positions of a block.
func (v *Evaluator) perBlock() int { return v.graph.Inputs.Dim(1) }

// score adds the samples of a batch's rows to the scores.
func (v *Evaluator) score(ctx context.Context, batch, rows int) error {
	first := batch * v.selected.Rows
	if v.further != nil {
		return v.further.score(ctx, &v.scores, first, rows, v.drawn.tokens, v.further.Draws(v.options.Stream(), batch))
	}
	targets, n := v.program.Ints(v.graph.Targets), v.perBlock()*v.extent.Patch
	samples := v.drawn.n * n
	for r := range rows {
		v.estimator.Add(&v.scores, first+r, v.drawn.tokens[r*samples:(r+1)*samples], targets[r*n:(r+1)*n])
	}
	return nil
}
