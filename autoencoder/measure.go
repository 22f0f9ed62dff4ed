package autoencoder

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/internal/plural"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn/cpu"
)

// CollapsedBelow is the unclamped KL, in nats averaged over patches, below which a dimension of the latent vector
// counts as collapsed (docs/spec.md, section 2).
const CollapsedBelow = .01

// measuredAtOnce is the maximum number of tokens in a run of a measurement.
const measuredAtOnce = 1 << 13

// Measurement says how well an autoencoder reconstructs patches. Shares are in [0, 1].
type Measurement struct {
	CrossEntropy float64         `json:"cross_entropy"` // nats a token, from a sample of the posterior
	Accuracy     float64         `json:"accuracy"`      // share of tokens, from a sample of the posterior
	Noise        []NoiseAccuracy `json:"noise"`         // one for each sigma
	KL           float64         `json:"kl"`            // nats a patch, unclamped, summed over dimensions
	DimensionKL  []float64       `json:"dimension_kl"`  // nats a patch, unclamped, of each dimension [Z]
	Collapsed    int             `json:"collapsed"`     // dimensions whose KL is below CollapsedBelow
	Blocks       int             `json:"blocks"`        // number of blocks measured
	BlockSize    int             `json:"block_size"`    // tokens a block
	Patches      int             `json:"patches"`       // number of patches in all blocks
	Tokens       int             `json:"tokens"`        // number of tokens in all blocks
	Seconds      float64         `json:"seconds"`       // that the measurement took
}

// Metrics lists the metrics that training logs.
func (r Measurement) Metrics() []metric.Metric {
	list := []metric.Metric{{Name: metric.Accuracy, Value: r.Accuracy}}
	for _, n := range r.Noise {
		list = append(list, metric.Metric{Name: metric.AccuracyNoise(n.Sigma), Value: n.Accuracy})
	}
	return append(list, metric.Metric{Name: metric.CrossEntropy, Value: r.CrossEntropy}, metric.Metric{Name: metric.KL, Value: r.KL},
		metric.Metric{Name: metric.Collapsed, Value: float64(r.Collapsed)})
}

// Print writes the measurement for people.
func (r Measurement) Print(w io.Writer) {
	fmt.Fprintf(w, "  tokens         %d in %s of %d\n  cross entropy  %.5f nats a token\n  accuracy       %.3f %% (posterior sample)\n", r.Tokens, plural.Count(r.Blocks, "block"), r.BlockSize, r.CrossEntropy, 100*r.Accuracy)
	for _, n := range r.Noise {
		fmt.Fprintf(w, "  accuracy       %.3f %% (noise %g)\n", 100*n.Accuracy, n.Sigma)
	}
	fmt.Fprintf(w, "  KL             %.3f nats a patch\n  collapsed      %d of %s\n", r.KL, r.Collapsed, plural.Count(len(r.DimensionKL), "dimension"))
}

// NoiseAccuracy is the share of tokens that are decoded correctly from the posterior's mean plus normal noise.
type NoiseAccuracy struct {
	Sigma    float64 `json:"sigma"`    // standard deviation, 0 or more
	Accuracy float64 `json:"accuracy"` // in [0, 1]
}

// Evaluator measures an autoencoder, each time that Run is called: a training run needs it many times.
type Evaluator struct {
	engine   *cpu.Engine
	model    *Model
	options  eval.Options
	selected *eval.Selection
	programs map[int]*evaluationProgram // by number of blocks: the usual one, and that of a smaller last batch
}

type evaluationProgram struct {
	*Evaluation
	*cpu.Program
}

// NewEvaluator makes an evaluator on text in the autoencoder's layout.
func NewEvaluator(e *cpu.Engine, m *Model, blocks *corpus.Blocks, o eval.Options) (*Evaluator, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if err := eval.CheckLayout(blocks, corpus.Autoencoder, m.Config.PatchSize, 1); err != nil {
		return nil, err
	}
	for _, sigma := range o.Sigmas {
		if !(sigma >= 0) || math.IsInf(sigma, 0) {
			return nil, fmt.Errorf("evaluation: noise of standard deviation %v: want 0 or more", sigma)
		}
	}
	return &Evaluator{engine: e, model: m, options: o, selected: eval.Select(blocks, o, measuredAtOnce), programs: map[int]*evaluationProgram{}}, nil
}

// Evaluator is NewEvaluator with the result type that package run needs.
func (m *Model) Evaluator(e *cpu.Engine, blocks *corpus.Blocks, o eval.Options) (eval.Evaluator, error) {
	return eval.AsEvaluator(NewEvaluator(e, m, blocks, o))
}

// Unused lists the options that do not change the measurement.
func (m *Model) Unused(eval.Options) []eval.Unused {
	return []eval.Unused{eval.UnusedSamples, eval.UnusedWindows}
}

// sums are sums over tokens, or over patches for kl.
type sums struct {
	loss, hits float64
	noiseHits  []float64
	kl         []float64 // [Z]
	tokens     int
}

// Run measures the model with its current weights.
func (v *Evaluator) Run(ctx context.Context) (Measurement, error) {
	start := time.Now()
	total := sums{noiseHits: make([]float64, len(v.options.Sigmas)), kl: make([]float64, v.model.Config.LatentSize)}
	err := v.selected.Each(ctx, v.options.Progress, func(batch, rows int, ids []int32) error {
		p := v.program(rows)
		copy(p.Ints(p.IDs), ids)
		p.SetDraws(v.options.Stream(), uint64(batch))
		if err := p.Forward(); err != nil {
			return err
		}
		total.add(p)
		return eval.Finite("cross entropy", total.loss)
	})
	if err != nil {
		return Measurement{}, err
	}
	r := v.result(&total)
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// program returns the program for batches of that many blocks. An autoencoder's labels are its inputs, so rows cannot
// be masked: a last batch that is smaller has a program of its own.
func (v *Evaluator) program(rows int) *evaluationProgram {
	if p := v.programs[rows]; p != nil {
		return p
	}
	tokens := rows * v.selected.BlockSize()
	ev := v.model.Evaluation(tokens/v.model.Config.PatchSize, v.options.Sigmas...)
	p := &evaluationProgram{ev, v.engine.Compile(ev.Graph, cpu.Inference)}
	ev.Prepare(p.Program)
	v.programs[rows] = p
	return p
}

func (s *sums) add(p *evaluationProgram) {
	tokens := p.IDs.Size()
	s.tokens += tokens
	s.loss += float64(p.Scalar(p.Tokens.Loss)) * float64(tokens)
	s.hits += float64(p.Scalar(p.Tokens.Hits))
	for i, n := range p.Noise {
		s.noiseHits[i] += float64(p.Scalar(n.Tokens.Hits))
	}
	mean, logStd := p.Floats(p.Posterior.Mean), p.Floats(p.Posterior.LogStd)
	for i := range mean {
		m, l := float64(mean[i]), float64(logStd[i])
		s.kl[i%len(s.kl)] += .5 * (m*m + math.Exp(2*l) - 1 - 2*l)
	}
}

func (v *Evaluator) result(s *sums) Measurement {
	tokens, patches := float64(s.tokens), s.tokens/v.model.Config.PatchSize
	r := Measurement{
		CrossEntropy: s.loss / tokens, Accuracy: s.hits / tokens, DimensionKL: s.kl,
		Noise:  make([]NoiseAccuracy, len(s.noiseHits)),
		Blocks: v.selected.Total, BlockSize: v.selected.BlockSize(), Patches: patches, Tokens: s.tokens,
	}
	for i, hits := range s.noiseHits {
		r.Noise[i] = NoiseAccuracy{Sigma: v.options.Sigmas[i], Accuracy: hits / tokens}
	}
	for i := range r.DimensionKL {
		r.DimensionKL[i] /= float64(patches)
		r.KL += r.DimensionKL[i]
		if r.DimensionKL[i] < CollapsedBelow {
			r.Collapsed++
		}
	}
	return r
}
