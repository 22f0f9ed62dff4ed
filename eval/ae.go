package eval

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/nn/cpu"
)

// CollapsedBelow is the unclamped KL, in nats averaged over patches, below which a dimension of the latent vector says
// nothing (SPEC section 2).
const CollapsedBelow = .01

// aeAtOnce bounds the tokens that go through an autoencoder at a time.
const aeAtOnce = 1 << 13

// AEResult is how well an autoencoder gives patches back. Shares are in [0, 1].
type AEResult struct {
	CrossEntropy float64         `json:"cross_entropy"` // nats a token, from a sample of the posterior
	Accuracy     float64         `json:"accuracy"`      // share of tokens, from a sample of the posterior
	Noise        []NoiseAccuracy `json:"noise"`         // one for each sigma
	KL           float64         `json:"kl"`            // nats a patch, unclamped, summed over dimensions
	DimensionKL  []float64       `json:"dimension_kl"`  // nats a patch, unclamped, of each dimension [Z]
	Collapsed    int             `json:"collapsed"`     // dimensions whose KL is below CollapsedBelow
	Blocks       int             `json:"blocks"`
	BlockSize    int             `json:"block_size"` // tokens
	Patches      int             `json:"patches"`
	Tokens       int             `json:"tokens"`
	Seconds      float64         `json:"seconds"`
}

// NoiseAccuracy is the share of tokens that come back from the posterior's mean plus noise of a standard deviation.
type NoiseAccuracy struct {
	Sigma    float64 `json:"sigma"`
	Accuracy float64 `json:"accuracy"`
}

// AEEvaluator measures an autoencoder again and again.
type AEEvaluator struct {
	engine   *cpu.Engine
	model    *autoencoder.Model
	options  Options
	selected *selection
	programs map[int]*aeProgram // by rows: one, and another for a last batch that is smaller
}

type aeProgram struct {
	*autoencoder.Evaluation
	*cpu.Program
}

// NewAE makes an evaluator on text in the autoencoder's layout.
func NewAE(e *cpu.Engine, m *autoencoder.Model, blocks *corpus.Blocks, o Options) (*AEEvaluator, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := checkLayout(blocks, corpus.Autoencoder, m.Config.PatchSize, 1); err != nil {
		return nil, err
	}
	for _, sigma := range o.Sigmas {
		if !(sigma >= 0) || math.IsInf(sigma, 0) {
			return nil, fmt.Errorf("evaluation: noise of standard deviation %v: want 0 or more", sigma)
		}
	}
	return &AEEvaluator{engine: e, model: m, options: o, selected: selectBlocks(blocks, o, aeAtOnce), programs: map[int]*aeProgram{}}, nil
}

// AE measures an autoencoder on text in its layout.
func AE(ctx context.Context, e *cpu.Engine, m *autoencoder.Model, blocks *corpus.Blocks, o Options) (AEResult, error) {
	v, err := NewAE(e, m, blocks, o)
	if err != nil {
		return AEResult{}, err
	}
	return v.Run(ctx)
}

// aeSums are sums over tokens, or over patches for kl.
type aeSums struct {
	loss, hits float64
	noiseHits  []float64
	kl         []float64 // [Z]
	tokens     int
}

// Run measures the weights as they are now.
func (v *AEEvaluator) Run(ctx context.Context) (AEResult, error) {
	start := time.Now()
	sums := aeSums{noiseHits: make([]float64, len(v.options.Sigmas)), kl: make([]float64, v.model.Config.LatentSize)}
	err := v.selected.each(ctx, v.options.Progress, func(batch, rows int, ids []int32) error {
		p := v.program(rows)
		copy(p.Ints(p.IDs), ids)
		p.SetDraws(v.options.stream(), uint64(batch))
		if err := p.Forward(); err != nil {
			return err
		}
		sums.add(p)
		return finite("cross entropy", sums.loss)
	})
	if err != nil {
		return AEResult{}, err
	}
	r := v.result(&sums)
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// program returns the program for batches of that many blocks. An autoencoder's labels are its inputs, so rows cannot
// be masked: a last batch that is smaller has a program of its own.
func (v *AEEvaluator) program(rows int) *aeProgram {
	if p := v.programs[rows]; p != nil {
		return p
	}
	tokens := rows * v.selected.blocks.Layout().BlockSize
	ev := v.model.Evaluation(tokens/v.model.Config.PatchSize, v.options.Sigmas...)
	p := &aeProgram{ev, v.engine.Compile(ev.Graph, cpu.Inference)}
	ev.Prepare(p.Floats)
	v.programs[rows] = p
	return p
}

func (s *aeSums) add(p *aeProgram) {
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

func (v *AEEvaluator) result(s *aeSums) AEResult {
	tokens, patches := float64(s.tokens), s.tokens/v.model.Config.PatchSize
	r := AEResult{
		CrossEntropy: s.loss / tokens, Accuracy: s.hits / tokens, DimensionKL: s.kl,
		Noise:  make([]NoiseAccuracy, len(s.noiseHits)),
		Blocks: v.selected.total, BlockSize: v.selected.blocks.Layout().BlockSize, Patches: patches, Tokens: s.tokens,
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
