package head

import (
	"fmt"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/layer"
	"github.com/calm-go/calm/nn/random"
)

// energyKind describes the energy head, the one that the paper chooses.
var energyKind = Kind{
	Name:    EnergyType,
	Options: EnergyOptions{NumMLPLayers: 4, Beta: 1, NoiseSize: 64, TargetSamples: 100},
	Ignored: config.Ignored{SamplingSteps: "0", "solver": ""}, // keys of older files, which have those of all heads
	New: func(o Options, hidden, latent int, std float64, ps *nn.Params) Head {
		return NewEnergy(o.(EnergyOptions), hidden, latent, std, ps)
	},
	Prefix:        energyPrefix,
	Metrics:       []Metric{{"energy_loss", "the energy score: distances of latent vectors to the power of beta"}},
	MinSamples:    2,
	ScoresSamples: true,
	Reference:     Reference{Class: "EnergyTransformer", Alias: "generative_head."},
}

// EnergyOptions are the keys of the energy head.
type EnergyOptions struct {
	NumMLPLayers  int     `json:"num_mlp_layers"` // number of blocks, 1 to config.MaxLayers
	Beta          float64 `json:"beta"`           // the score's exponent, in (0, 2]
	NoiseSize     int     `json:"noise_size"`     // S, random numbers of a sample, 1 to config.MaxWidth
	TargetSamples int     `json:"target_samples"` // M, posterior samples a position, 1 to 65,536; always 100 in the reference
}

// maxTargets limits the time and the memory that a typing error can cost.
const maxTargets = 65_536

// Validate reports everything that is wrong, as a *config.Error.
func (o EnergyOptions) Validate() error {
	var p config.Problems
	config.Within(&p, "num_mlp_layers", o.NumMLPLayers, 1, config.MaxLayers)
	p.Check(o.Beta > 0 && o.Beta <= 2, "beta", o.Beta, "want more than 0 and at most 2: the energy score is not defined elsewhere")
	config.Within(&p, "noise_size", o.NoiseSize, 1, config.MaxWidth)
	config.Within(&p, "target_samples", o.TargetSamples, 1, maxTargets)
	return p.Err()
}

// Energy is the energy head (docs/spec.md, section 3.1): one pass through a small network gives a sample.
type Energy struct {
	Options EnergyOptions // valid options
	hidden  int           // D
	latent  int           // Z

	noiseEmbed, hiddenEmbed layer.Linear // [D, S], [D, D]
	normNoise, normHidden   layer.LayerNorm
	blocks                  []energyBlock
	finalNorm               layer.LayerNorm
	final0, final2          layer.Linear // [D, D], [Z, D]
}

type energyBlock struct {
	norm layer.LayerNorm
	in   layer.Linear // [D, 2D], of the concatenation [LN(x); y]
	mid  layer.Linear // [D, D]
	out  layer.Linear // [2D, D], gate above up
	down layer.Linear // [D, D]
}

// energyPrefix begins the names of the head's parameters.
const energyPrefix = "mlp_generator."

// NewEnergy declares the head's parameters in ps. std is the standard deviation of its initial weights; the last layer
// starts at zero, so all samples of an untrained head are equal.
func NewEnergy(o EnergyOptions, hidden, latent int, std float64, ps *nn.Params) *Energy {
	linear := func(name string, in, out int) layer.Linear {
		return layer.NewLinear(ps, energyPrefix+name, in, out, true, std)
	}
	norm := func(name string) layer.LayerNorm { return layer.NewLayerNorm(ps, energyPrefix+name, hidden) }
	h := &Energy{
		Options: o, hidden: hidden, latent: latent,
		noiseEmbed: linear("noise_embd", o.NoiseSize, hidden), hiddenEmbed: linear("hidden_embd", hidden, hidden),
		normNoise: norm("norm_noise"), normHidden: norm("norm_hidden"),
		blocks: make([]energyBlock, o.NumMLPLayers),
	}
	for i := range h.blocks {
		at := fmt.Sprintf("mlp_blocks.%d.", i)
		h.blocks[i] = energyBlock{
			norm: norm(at + "in_ln"),
			in:   linear(at+"linears.0", 2*hidden, hidden),
			mid:  linear(at+"linears.2", hidden, hidden),
			out:  linear(at+"linears.4", hidden, 2*hidden),
			down: linear(at+"down_proj", hidden, hidden),
		}
	}
	h.finalNorm = norm("final_layer.in_ln")
	h.final0 = linear("final_layer.linears.0", hidden, hidden)
	h.final2 = layer.NewLinear(ps, energyPrefix+"final_layer.linears.2", hidden, latent, true, 0)
	return h
}

// Noise adds the head's noise, uniform on [-.5, .5), to g under a name: [samples, positions, S].
func (h *Energy) Noise(g *nn.Graph, name string, samples, positions int) *nn.Tensor {
	return g.Random(name, nn.Uniform(-.5, .5), samples, positions, h.Options.NoiseSize)
}

// Sample adds the network to g: hidden [.., D] of P rows and noise [N, P, S] give latent vectors [N, P, Z]. What
// depends on the position alone is computed once for its N samples.
func (h *Energy) Sample(g *nn.Graph, hidden, noise *nn.Tensor) *nn.Tensor {
	plain, silu := nn.LinearOptions{}, nn.SiLUActivation
	d := h.hidden
	y := g.Reshape(hidden, hidden.Rows(), d)
	y = h.normHidden.Apply(g, h.hiddenEmbed.Apply(g, y, plain)) // [P, D]
	x := h.normNoise.Apply(g, h.noiseEmbed.Apply(g, noise, plain))
	for _, b := range h.blocks {
		shared := b.in.Apply(g, y, nn.LinearOptions{Col: d}) // [P, D], repeated for each sample
		t := b.in.ApplyWeight(g, b.norm.Apply(g, x), nn.LinearOptions{Cols: d, Add: shared, Act: silu})
		t = b.mid.Apply(g, t, nn.LinearOptions{Act: silu})
		gate := b.out.Apply(g, t, nn.LinearOptions{Rows: d})
		up := b.out.Apply(g, t, nn.LinearOptions{Row: d})
		x = b.down.Apply(g, g.SwiGLU(gate, up), nn.LinearOptions{Add: x})
	}
	x = h.final0.Apply(g, h.finalNorm.Apply(g, x), nn.LinearOptions{Act: silu})
	return h.final2.Apply(g, x, plain)
}

// Loss adds samples of the network and their energy score against the posteriors of the targets to g, see Head.
func (h *Energy) Loss(g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *Loss {
	positions := hidden.Rows()
	l := &Loss{
		Noise:     h.Noise(g, "head.noise", samples, positions),
		TargetEps: g.Random("head.target_eps", nn.Normal(), h.Options.TargetSamples, positions, h.latent),
	}
	l.Predictions = h.Sample(g, hidden, l.Noise)
	l.Samples = l.Predictions
	score := g.EnergyScore(l.Predictions, mean, logStd, l.TargetEps, weight, float32(h.Options.Beta))
	l.Loss, l.Terms = score.Loss, []*nn.Tensor{score.DistX, score.DistY}
	l.Metrics = []Scalar{{"energy_loss", score.Loss}}
	return l
}

// NoiseSize returns S.
func (h *Energy) NoiseSize() int { return h.Options.NoiseSize }

// Steps returns 1.
func (h *Energy) Steps() int { return 1 }

// NewSampler compiles a sampler of one pass, see Head.
func (h *Energy) NewSampler(e *cpu.Engine, rows, draws int) Sampler {
	d := h.drawing(rows, draws)
	return &energySampler{energyDrawing: d, program: e.Compile(d.graph, cpu.Inference), engine: e}
}

// Drawing describes the one pass, see Head.
func (h *Energy) Drawing(rows, draws int) []flops.Part {
	return []flops.Part{{Name: "head", Graph: h.drawing(rows, draws).graph, Runs: 1}}
}

// energyDrawing is the graph of a draw.
type energyDrawing struct {
	graph                  *nn.Graph
	hidden, noise, latents *nn.Tensor // inputs [R, D], [n, R, S], output [n, R, Z]
}

func (h *Energy) drawing(rows, draws int) energyDrawing {
	d := energyDrawing{graph: nn.NewGraph()}
	d.hidden = d.graph.Floats("hidden", rows, h.hidden)
	d.noise = d.graph.Floats("noise", draws, rows, h.Options.NoiseSize)
	d.latents = h.Sample(d.graph, d.hidden, d.noise)
	d.graph.Output(d.latents)
	return d
}

// energySampler makes a sample from S uniform numbers, its noise.
type energySampler struct {
	energyDrawing
	program *cpu.Program
	engine  *cpu.Engine
}

func (s *energySampler) FillNoise(dst []float32, stream random.Stream, first int) {
	s.engine.Uniform(dst, stream, first*s.noise.Dim(2), -.5, .5)
}

func (s *energySampler) Sample(hidden, noise []float32) ([]float32, error) {
	copy(s.program.Floats(s.hidden), hidden)
	copy(s.program.Floats(s.noise), noise)
	if err := s.program.Forward(); err != nil {
		return nil, err
	}
	latents := s.program.Floats(s.latents)
	return Settle(latents, s.latents.Dim(2), Finite, EnergyType, 1)
}
