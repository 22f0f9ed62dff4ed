package eval

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
)

// ErrShortPatch says that a model's patches are too short for BrierLM as this version measures it.
var ErrShortPatch = errors.New("patches are too short for BrierLM")

// decodedAtOnce bounds the tokens that are decoded at a time, and with them the memory of an evaluation: 550 MB at the
// published autoencoder's sizes. One block of two samples goes through whatever its size.
const decodedAtOnce = 1 << 15

// stepsAtOnce bounds the steps that samples are refined by between two looks at the context, and the noise they take.
const stepsAtOnce = 1 << 14

// LMResult is how close a language model's samples come to the text. Brier scores and BrierLM are in percent.
type LMResult struct {
	brier.Result
	HeadLoss
	Samples   int     `json:"samples"`    // patches drawn a position
	BlockSize int     `json:"block_size"` // tokens; BrierLM depends on it
	Tokens    int     `json:"tokens"`     // predicted: all but each block's first patch
	Seconds   float64 `json:"seconds"`
}

// HeadLoss is the loss of a model's head on held-out text, as training minimises it: that of the head it has, the others
// are 0. The diffusion head's is the sum of its squared error and its variational bound in bits.
type HeadLoss struct {
	EnergyLoss    float64 `json:"energy_loss,omitzero"`
	FlowLoss      float64 `json:"flow_loss,omitzero"`
	DiffusionLoss float64 `json:"diffusion_loss,omitzero"`
	DiffusionMSE  float64 `json:"diffusion_mse,omitzero"`
	DiffusionVB   float64 `json:"diffusion_vb,omitzero"`
}

// HeadFigure is one of a HeadLoss's figures, under its name in JSON.
type HeadFigure struct {
	Name  string
	Value float64
}

// Figures lists the figures of the head that was measured, the loss first.
func (l HeadLoss) Figures() []HeadFigure {
	var all []HeadFigure
	for _, name := range []string{"energy_loss", "flow_loss", "diffusion_loss", "diffusion_mse", "diffusion_vb"} {
		if v := *l.figure(name); v != 0 {
			all = append(all, HeadFigure{name, v})
		}
	}
	return all
}

// figure returns the field of that name.
func (l *HeadLoss) figure(name string) *float64 {
	switch name {
	case "energy_loss":
		return &l.EnergyLoss
	case "flow_loss":
		return &l.FlowLoss
	case "diffusion_loss":
		return &l.DiffusionLoss
	case "diffusion_mse":
		return &l.DiffusionMSE
	case "diffusion_vb":
		return &l.DiffusionVB
	}
	panic("eval: a head has a figure " + name)
}

// LMEvaluator measures a language model again and again.
type LMEvaluator struct {
	options   Options
	selected  *selection
	graph     *lm.Evaluation
	program   *cpu.Program
	estimator *brier.Estimator // nil: the loss only
	scores    brier.Accumulator

	sampler  *lm.Sampler // of the heads whose loss has no samples; nil for others
	hidden   []float32   // [rows of the sampler, D]
	diverged error       // of the sampler, in this run

	samples, passes int     // samples = what is scored of passes runs
	ids, labels     []int32 // [rows, T]
	drawn           []int32 // [P, samples, K]
}

// NewLM makes an evaluator on text in the language model's layout. For patches of fewer than 4 tokens it is
// ErrShortPatch.
func NewLM(e *cpu.Engine, m *lm.Model, blocks *corpus.Blocks, o Options) (*LMEvaluator, error) {
	if o.Samples == 0 {
		o.Samples = 2
	}
	k := m.Config.PatchSize
	if err := errors.Join(o.check(), checkLayout(blocks, corpus.Language, k, 2)); err != nil {
		return nil, err
	}
	v := &LMEvaluator{options: o, samples: o.Samples}
	if k < brier.N && !o.LossOnly {
		return nil, fmt.Errorf("evaluation: patch_size is %d, and BrierLM scores %d tokens, so further patches would have to be "+
			"drawn behind each sample, which calm cannot do yet: %w; measure a model with patch_size %d or more", k, brier.N, ErrShortPatch, brier.N)
	}
	if o.Samples < 2 {
		return nil, fmt.Errorf("evaluation: %d samples a position: want 2 or more, since one alone never coincides with another", o.Samples)
	}
	if !o.LossOnly {
		var err error
		if v.estimator, err = brier.NewEstimator(o.Samples, k); err != nil {
			return nil, fmt.Errorf("evaluation: %w", err)
		}
	}
	t := blocks.Layout().BlockSize
	v.selected = selectBlocks(blocks, o, max(t, decodedAtOnce/o.Samples))
	v.describe(e, m, t)
	v.ids, v.labels = make([]int32, v.selected.rows*t), make([]int32, v.selected.rows*t)
	v.drawn = make([]int32, v.graph.Weight.Size()*o.Samples*k)
	return v, nil
}

// describe compiles what runs: for the energy head all samples of a position at a time, or as many as fit, two at least;
// for the others the loss, and a sampler from hidden states.
func (v *LMEvaluator) describe(e *cpu.Engine, m *lm.Model, t int) {
	samples, rows := v.samples, v.selected.rows
	v.passes = 1
	perPass := m.Config.NumSamples
	energy := m.Config.ModelType == head.EnergyType
	if energy {
		perPass = max(2, min(samples, decodedAtOnce/(rows*t)))
		v.passes = (samples + perPass - 1) / perPass
		perPass = max(2, (samples+v.passes-1)/v.passes)
	}
	v.graph = m.Evaluation(rows, t, perPass)
	v.program = e.Compile(v.graph.Graph, cpu.Inference)
	if energy || v.estimator == nil {
		return
	}
	atOnce := min(v.graph.Weight.Size(), decodedAtOnce/(m.Config.PatchSize*samples), stepsAtOnce/(m.Config.Steps()*samples))
	atOnce = max(1, atOnce)
	v.sampler = m.NewSampler(e, atOnce, samples)
	v.hidden = make([]float32, atOnce*m.Config.HiddenSize)
}

// LM measures a language model on text in its layout.
func LM(ctx context.Context, e *cpu.Engine, m *lm.Model, blocks *corpus.Blocks, o Options) (LMResult, error) {
	v, err := NewLM(e, m, blocks, o)
	if err != nil {
		return LMResult{}, err
	}
	return v.Run(ctx)
}

// Run measures the weights as they are now. Where the head's sampler diverges, the error is a *head.DivergedError and the
// result holds the loss alone.
func (v *LMEvaluator) Run(ctx context.Context) (LMResult, error) {
	start := time.Now()
	v.scores.Reset()
	v.diverged = nil
	sums := make([]float64, len(v.graph.Head.Figures)) // over positions
	err := v.selected.each(ctx, v.options.Progress, func(batch, rows int, ids []int32) error {
		return v.batch(ctx, batch, rows, ids, sums)
	})
	if err != nil {
		return LMResult{}, err
	}
	r := LMResult{Samples: v.samples, BlockSize: v.selected.blocks.Layout().BlockSize}
	if v.estimator != nil && v.diverged == nil {
		r.Result = v.scores.Result(v.options.Seed)
	} else {
		r.Blocks = v.selected.total
		r.Positions = r.Blocks * v.perBlock()
	}
	for i, f := range v.graph.Head.Figures {
		*r.figure(f.Name) = sums[i] / float64(r.Positions)
	}
	r.Tokens = r.Positions * v.graph.Inputs.Dim(2)
	r.Seconds = time.Since(start).Seconds()
	return r, v.diverged
}

// batch scores a batch of blocks and adds the head's figures, summed over its positions, to sums.
func (v *LMEvaluator) batch(ctx context.Context, batch, rows int, ids []int32, sums []float64) error {
	// Rows that the last batch lacks are id 0 and no targets.
	n := copy(v.ids, ids)
	clear(v.ids[n:])
	copy(v.labels, v.ids)
	for i := n; i < len(v.labels); i++ {
		v.labels[i] = lm.Ignored
	}
	if err := v.graph.Fill(v.program, v.ids, v.labels); err != nil {
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
			sums[i] += value / float64(v.passes) * positions
		}
		if v.graph.Tokens != nil {
			v.collect(pass)
		}
	}
	if err := v.sample(ctx, batch); err != nil {
		return err
	}
	if v.diverged == nil {
		v.score(batch*v.selected.rows, rows)
	}
	return nil
}

// sample draws from the hidden states of a batch, position after position, with the heads that need a sampler for it.
func (v *LMEvaluator) sample(ctx context.Context, batch int) error {
	if v.sampler == nil || v.diverged != nil {
		return nil
	}
	hidden, d, k := v.program.Floats(v.graph.Hidden), v.graph.Hidden.Cols(), v.graph.Inputs.Dim(2)
	positions, atOnce := v.graph.Weight.Size(), len(v.hidden)/d
	chunks := (positions + atOnce - 1) / atOnce
	for chunk := range chunks {
		if err := ctx.Err(); err != nil {
			return err
		}
		first := chunk * atOnce
		n := min(atOnce, positions-first)
		copy(v.hidden, hidden[first*d:(first+n)*d]) // behind them, others that will do
		tokens, err := v.sampler.Draw(v.hidden, v.options.stream(), uint64(batch*chunks+chunk))
		if diverged, ok := errors.AsType[*head.DivergedError](err); ok {
			v.diverged = diverged
			return nil
		}
		if err != nil {
			return err
		}
		for s := range v.samples {
			for p := range n {
				copy(v.drawn[((first+p)*v.samples+s)*k:][:k], tokens[(s*atOnce+p)*k:])
			}
		}
	}
	return nil
}

// perBlock returns the number of positions of a block.
func (v *LMEvaluator) perBlock() int { return v.graph.Inputs.Dim(1) }

// score adds the samples of a batch's rows, blocks number first and following, to the scores.
func (v *LMEvaluator) score(first, rows int) {
	if v.estimator == nil {
		return
	}
	targets := v.program.Ints(v.graph.Targets)
	n := v.perBlock() * v.graph.Inputs.Dim(2)
	drawn := v.samples * n
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
