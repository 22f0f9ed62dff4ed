package head_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/metric"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/layer"
	"github.com/calm-go/calm/nn/random"
	"github.com/calm-go/calm/run"
)

// This is a complete head, as another module would write it. A sample is normal, with a mean that is linear in the
// hidden state h and a covariance A·Aᵀ that is the same everywhere:
//
//	z = W h + b + A ε      h [D], ε ~ N(0, 1) [Z], W [Z, D], A [Z, Z], z [Z]
//
// It is trained on the energy score of its samples.

// gaussian describes the head.
var gaussian = head.Kind{
	Name:    "gaussian",
	Options: gaussianOptions{TargetSamples: 100},
	New: func(o head.Options, hidden, latent int, std float64, ps *nn.Params) head.Head {
		return &gaussianHead{
			options: o.(gaussianOptions), hidden: hidden, latent: latent,
			mean:  layer.NewLinear(ps, gaussianPrefix+"mean", hidden, latent, true, std),
			noise: layer.NewLinear(ps, gaussianPrefix+"noise", latent, latent, false, std),
		}
	},
	Prefix:        gaussianPrefix,
	Metrics:       []head.Metric{{Name: "gaussian_loss", Doc: "the energy score of the samples: distances of latent vectors"}},
	MinSamples:    2, // the score compares samples with each other
	ScoresSamples: true,
	Reference:     head.Reference{None: "the reference has no Gaussian head"},
}

const gaussianPrefix = "gaussian_head."

// gaussianOptions are the head's keys in config.json.
type gaussianOptions struct {
	TargetSamples int `json:"target_samples"` // M, posterior samples a position
}

// Validate bounds every key.
func (o gaussianOptions) Validate() error {
	var p config.Problems
	config.Within(&p, "target_samples", o.TargetSamples, 1, 65_536)
	return p.Err()
}

type gaussianHead struct {
	options        gaussianOptions
	hidden, latent int // D, Z
	mean, noise    layer.Linear
}

// sample adds the head to g: hidden [.., D] of P rows and noise [N, P, Z] give samples [N, P, Z].
func (h *gaussianHead) sample(g *nn.Graph, hidden, noise *nn.Tensor) *nn.Tensor {
	mean := h.mean.Apply(g, g.Reshape(hidden, hidden.Rows(), h.hidden), nn.LinearOptions{}) // [P, Z], repeated for each sample
	return h.noise.Apply(g, noise, nn.LinearOptions{Add: mean})
}

func (h *gaussianHead) Loss(g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *head.Loss {
	positions := hidden.Rows()
	drawn := h.sample(g, hidden, g.Random("head.noise", nn.Normal(), samples, positions, h.latent))
	eps := g.Random("head.target_eps", nn.Normal(), h.options.TargetSamples, positions, h.latent)
	score := g.EnergyScore(drawn, mean, logStd, eps, weight, 1)
	return &head.Loss{Loss: score.Loss, Metrics: []head.Scalar{{Name: "gaussian_loss", Value: score.Loss}}, Samples: drawn}
}

func (h *gaussianHead) NoiseSize() int { return h.latent }

func (h *gaussianHead) Steps() int { return 1 }

// drawing is the graph of n draws for R rows.
type drawing struct {
	graph                  *nn.Graph
	hidden, noise, samples *nn.Tensor // [R, D], [n, R, Z], [n, R, Z]
}

func (h *gaussianHead) drawing(rows, draws int) drawing {
	d := drawing{graph: nn.NewGraph()}
	d.hidden, d.noise = d.graph.Floats("hidden", rows, h.hidden), d.graph.Floats("noise", draws, rows, h.latent)
	d.samples = h.sample(d.graph, d.hidden, d.noise)
	d.graph.Output(d.samples)
	return d
}

func (h *gaussianHead) Drawing(rows, draws int) []flops.Part {
	return []flops.Part{{Name: "head", Graph: h.drawing(rows, draws).graph, Runs: 1}}
}

func (h *gaussianHead) NewSampler(e *cpu.Engine, rows, draws int) head.Sampler {
	d := h.drawing(rows, draws)
	return &gaussianSampler{drawing: d, engine: e, program: e.Compile(d.graph, cpu.Inference)}
}

type gaussianSampler struct {
	drawing
	engine  *cpu.Engine
	program *cpu.Program
}

func (s *gaussianSampler) FillNoise(dst []float32, stream random.Stream, first int) {
	s.engine.Normal(dst, stream, first*s.noise.Dim(2))
}

func (s *gaussianSampler) Sample(hidden, noise []float32) ([]float32, error) {
	copy(s.program.Floats(s.hidden), hidden)
	copy(s.program.Floats(s.noise), noise)
	if err := s.program.Forward(); err != nil {
		return nil, err
	}
	return head.Settle(s.program.Floats(s.samples), s.samples.Dim(2), head.Finite, gaussian.Name, 1)
}

// register makes the head known; a program does it in main.
var register = sync.OnceValue(func() error { return head.Register(gaussian) })

// Example adds a head from another module, trains a language model with it and measures that.
func Example() {
	dir, err := os.MkdirTemp("", "calm-head")
	if err == nil {
		defer os.RemoveAll(dir)
		err = register()
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	eng := cpu.New(cpu.Options{})
	defer eng.Close()
	if err := trainGaussian(eng, dir); err != nil {
		fmt.Println(err)
		return
	}
	m, err := run.Open(filepath.Join(dir, "lm"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	r, err := m.Evaluate(context.Background(), eng, run.Evaluation{Options: eval.Options{Samples: 8}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range r.Measured.Metrics() {
		switch m.Name {
		case "gaussian_loss":
			fmt.Println("the head's loss is above 0:", m.Value > 0)
		case metric.BrierLM:
			fmt.Println("BrierLM is above 5:", m.Value > 5)
		}
	}
	// Output:
	// the head's loss is above 0: true
	// BrierLM is above 5: true
}

// trainGaussian trains an autoencoder, and over it a language model with the head, in dir/ae and dir/lm.
func trainGaussian(eng *cpu.Engine, dir string) error {
	text, letters := filepath.Join(dir, "letters.txt"), bytes.Repeat([]byte("a"), 20_000)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range letters {
		letters[i] += byte(rng.IntN(5) / 4) // a, or at one place in five b
	}
	if err := os.WriteFile(text, letters, 0o666); err != nil {
		return err
	}
	sizes := []string{"hidden_size=32", "intermediate_size=48", "block_size=32", "batch_size=4", "warmup_steps=2", "save_steps=0", "eval_steps=0"}
	for _, o := range []run.Options{
		{Kind: run.AE, Out: filepath.Join(dir, "ae"), Steps: 500, Set: append([]string{"latent_size=12", "learning_rate=0.005", "ae_dropout=0"}, sizes...)},
		{Kind: run.LM, Out: filepath.Join(dir, "lm"), Steps: 200, AE: filepath.Join(dir, "ae"), Set: append([]string{
			"model_type=gaussian", "num_samples=4", "target_samples=8", "learning_rate=0.01",
			"num_hidden_layers=1", "num_attention_heads=2", "num_key_value_heads=1"}, sizes...)},
	} {
		o.Data = []string{text}
		t, err := run.Create(context.Background(), eng, o)
		if err != nil {
			return err
		}
		_, err = t.Do(context.Background())
		if err = errors.Join(err, t.Close()); err != nil {
			return err
		}
	}
	return nil
}
