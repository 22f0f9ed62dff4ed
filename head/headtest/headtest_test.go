package headtest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// broken is a head with some of its methods replaced.
type broken struct {
	head.Head
	loss    func(inner head.Head, g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *head.Loss
	fill    func(inner head.Sampler, rows int, dst []float32, stream random.Stream, first int)
	sample  func(inner head.Sampler, hidden, noise []float32) ([]float32, error)
	drawing func(parts []flops.Part) []flops.Part
	engine  func(e *cpu.Engine) *cpu.Engine // that samplers are compiled with
}

func (b broken) Loss(g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *head.Loss {
	if b.loss == nil {
		return b.Head.Loss(g, hidden, mean, logStd, weight, samples)
	}
	return b.loss(b.Head, g, hidden, mean, logStd, weight, samples)
}

func (b broken) NewSampler(e *cpu.Engine, rows, draws int) head.Sampler {
	if b.engine != nil {
		e = b.engine(e)
	}
	return brokenSampler{b.Head.NewSampler(e, rows, draws), rows, b}
}

func (b broken) Drawing(rows, draws int) []flops.Part {
	if b.drawing == nil {
		return b.Head.Drawing(rows, draws)
	}
	return b.drawing(b.Head.Drawing(rows, draws))
}

type brokenSampler struct {
	head.Sampler
	rows int
	how  broken
}

func (s brokenSampler) FillNoise(dst []float32, stream random.Stream, first int) {
	if s.how.fill == nil {
		s.Sampler.FillNoise(dst, stream, first)
		return
	}
	s.how.fill(s.Sampler, s.rows, dst, stream, first)
}

func (s brokenSampler) Sample(hidden, noise []float32) ([]float32, error) {
	if s.how.sample == nil {
		return s.Sampler.Sample(hidden, noise)
	}
	return s.how.sample(s.Sampler, hidden, noise)
}

// unbounded are options that accept every number.
type unbounded struct {
	Speed float64 `json:"speed"`
}

func (unbounded) Validate() error { return nil }

// TestSuiteFails: each check fails where a head breaks what it checks.
func TestSuiteFails(t *testing.T) {
	lax, _ := head.Lookup("flow")
	lax.Name, lax.Options, lax.SamplingKeys = "unbounded", unbounded{}, nil
	if err := head.Register(lax); err != nil {
		t.Fatal(err)
	}
	built, kept := 0, []float32(nil)
	broke := map[string]bool{}
	for name, c := range map[string]struct {
		base  string // the kind that is broken
		check string // that fails
		want  string // what its error says
		kind  func(k *head.Kind)
		how   broken
	}{
		"prefix of another part": {base: "energy", check: "parameters", want: "does not begin with", kind: func(k *head.Kind) { k.Prefix = "transformer." }},
		"first weights by chance": {base: "flow", check: "parameters", want: "differs when the head is built again", kind: func(k *head.Kind) {
			inner := k.New
			k.New = func(o head.Options, hidden, latent int, std float64, ps *nn.Params) head.Head {
				built++
				ps.Matrix(k.Prefix+"extra", nn.Constant(float32(built)), 1, 1)
				return inner(o, hidden, latent, std, ps)
			}
		}},
		"undocumented metric": {base: "energy", check: "metrics", want: "metric 1 of the loss is spread", how: broken{
			loss: func(inner head.Head, g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *head.Loss {
				l := inner.Loss(g, hidden, mean, logStd, weight, samples)
				l.Metrics = append(l.Metrics, head.Scalar{Name: "spread", Value: l.Loss})
				return l
			}}},
		"metric that is missing": {base: "diffusion", check: "metrics", want: "lacks the metric diffusion_vb", how: broken{
			loss: func(inner head.Head, g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *head.Loss {
				l := inner.Loss(g, hidden, mean, logStd, weight, samples)
				l.Metrics = l.Metrics[:2]
				return l
			}}},
		"gradient that lacks a part": {base: "energy", check: "gradients", want: "headtest.hidden: the loss has slope", how: broken{
			loss: func(inner head.Head, g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *head.Loss {
				return inner.Loss(g, g.Mul(hidden, hidden), mean, logStd, weight, samples) // of which the second gets none
			}}},
		"gradient that leads upwards": {base: "diffusion", check: "gradients", want: "a small step against the gradient", how: broken{
			loss: func(inner head.Head, g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *head.Loss {
				l := inner.Loss(g, hidden, mean, logStd, weight, samples)
				g.Loss(l.Loss, -2)
				return l
			}}},
		"weights ignored": {base: "energy", check: "weights", want: "after a change at a position of weight 0", how: broken{
			loss: func(inner head.Head, g *nn.Graph, hidden, mean, logStd, _ *nn.Tensor, samples int) *head.Loss {
				return inner.Loss(g, hidden, mean, logStd, nil, samples)
			}}},
		"two samples, however many are wanted": {base: "energy", check: "samples", want: "the loss has Samples", how: broken{
			loss: func(inner head.Head, g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, _ int) *head.Loss {
				return inner.Loss(g, hidden, mean, logStd, weight, 2)
			}}},
		"samples not announced": {base: "energy", check: "samples", want: "does not say", kind: func(k *head.Kind) { k.ScoresSamples = false }},
		"samples announced, but not there": {base: "flow", check: "sample slots", want: "samples: false, and the kind says true",
			kind: func(k *head.Kind) { k.ScoresSamples = true }},
		"samples of other hidden states": {base: "energy", check: "samples", want: "have mean", how: broken{
			sample: func(inner head.Sampler, hidden, noise []float32) ([]float32, error) {
				hidden = slices.Clone(hidden)
				slices.Reverse(hidden)
				return inner.Sample(hidden, noise)
			}}},
		"loss that changes each time it is built": {base: "energy", check: "resume", want: "after a stop", how: broken{
			loss: func(inner head.Head, g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *head.Loss {
				built++
				l := inner.Loss(g, hidden, mean, logStd, weight, samples)
				g.Loss(l.Loss, float32(built))
				return l
			}}},
		"noise that depends on the cut": {base: "energy", check: "noise", want: "depends on what is filled at once", how: broken{
			fill: func(inner head.Sampler, _ int, dst []float32, stream random.Stream, _ int) {
				inner.FillNoise(dst, stream, 0)
			}}},
		"noise that depends on the rows": {base: "diffusion", check: "noise", want: "depends on the rows of the sampler, 3 or 1", how: broken{
			fill: func(inner head.Sampler, rows int, dst []float32, stream random.Stream, first int) {
				inner.FillNoise(dst, stream, first*rows)
			}}},
		"streams that depend on each other": {base: "flow", check: "streams", want: "of stream 0 differs from that of the stream alone", how: broken{
			engine: func(e *cpu.Engine) *cpu.Engine { return e.ForStreams(1) }}},
		"noise that is not filled": {base: "flow", check: "noise", want: "not filled", how: broken{
			fill: func(inner head.Sampler, _ int, dst []float32, stream random.Stream, first int) {
				inner.FillNoise(dst[:len(dst)-1], stream, first)
			}}},
		"one noise for all": {base: "flow", check: "noise", want: "does not depend on the stream", how: broken{
			fill: func(inner head.Sampler, _ int, dst []float32, _ random.Stream, first int) {
				inner.FillNoise(dst, random.Stream{}, first)
			}}},
		"slot that is not filled": {base: "energy", check: "draws", want: "draw 3 of row 2", how: broken{
			sample: func(inner head.Sampler, hidden, noise []float32) ([]float32, error) {
				latents, err := inner.Sample(hidden, noise)
				if n := len(latents); n > latentSize {
					clear(latents[n-latentSize:])
				}
				return latents, err
			}}},
		"samples that stay empty": {base: "flow", check: "sample slots", want: "sample slot 5 has the same tokens at every position", how: broken{
			sample: func(inner head.Sampler, hidden, noise []float32) ([]float32, error) {
				latents, err := inner.Sample(hidden, noise)
				c := testkit.TinyLM()
				if full := 5 * len(hidden) / c.HiddenSize * c.LatentSize; len(latents) > full {
					clear(latents[full:])
				}
				return latents, err
			}}},
		"samples of the loss that stay empty": {base: "energy", check: "sample slots", want: "sample slot 1 has the same tokens at every position", how: broken{
			loss: func(inner head.Head, g *nn.Graph, hidden, mean, logStd, weight *nn.Tensor, samples int) *head.Loss {
				l := inner.Loss(g, hidden, mean, logStd, weight, samples)
				l.Samples = g.Floats("never filled", l.Samples.Shape()...)
				return l
			}}},
		"one sample for all": {base: "flow", check: "sample slots", want: "sample slot 7 has the tokens of slot 0", how: broken{
			sample: func(inner head.Sampler, hidden, noise []float32) ([]float32, error) {
				latents, err := inner.Sample(hidden, noise)
				c := testkit.TinyLM()
				size := len(hidden) / c.HiddenSize * c.LatentSize
				for i := size; i < len(latents); i += size {
					copy(latents[i:], latents[:size])
				}
				return latents, err
			}}},
		"draws that depend on others": {base: "flow", check: "draws", want: "is as before: false", how: broken{
			sample: func(inner head.Sampler, hidden, noise []float32) ([]float32, error) {
				latents, err := inner.Sample(hidden, noise)
				latents[0] += 1e-3 * latents[len(latents)-1]
				return latents, err
			}}},
		"draws that remember": {base: "energy", check: "draws", want: "the same draws again", how: broken{
			sample: func(inner head.Sampler, hidden, noise []float32) ([]float32, error) {
				latents, err := inner.Sample(hidden, noise)
				if len(latents) == len(kept) {
					latents[0] += 1e-4 * kept[0]
				}
				kept = slices.Clone(latents)
				return latents, err
			}}},
		"divergence that is not told": {base: "flow", check: "diverging", want: "want a *head.DivergedError", how: broken{
			sample: func(inner head.Sampler, hidden, noise []float32) ([]float32, error) {
				latents, err := inner.Sample(hidden, noise)
				if _, ok := errors.AsType[*head.DivergedError](err); ok {
					err = nil
				}
				return latents, err
			}}},
		"memory for each draw": {base: "energy", check: "allocations", want: "allocates", how: broken{
			sample: func(inner head.Sampler, hidden, noise []float32) ([]float32, error) {
				latents, err := inner.Sample(hidden, noise)
				return slices.Clone(latents), err
			}}},
		"part that is not counted": {base: "flow", check: "cost", want: "which no part of Drawing reads", how: broken{
			drawing: func(parts []flops.Part) []flops.Part { return parts[1:] }}},
		"one evaluation counted": {base: "diffusion", check: "cost", want: "4 steps take", how: broken{
			drawing: func(parts []flops.Part) []flops.Part {
				for i := range parts {
					parts[i].Runs = 1
				}
				return parts
			}}},
		"number without bounds":         {base: "unbounded", check: "configuration", want: "that names the key"},
		"nothing said of the reference": {base: "flow", check: "reference", want: "either Class or None", kind: func(k *head.Kind) { k.Reference = head.Reference{} }},
		"class of another kind":         {base: "flow", check: "reference", want: "one class", kind: func(k *head.Kind) { k.Reference.Class = "EnergyTransformer" }},
		"parameters of another part":    {base: "energy", check: "language model", want: "begin with", kind: func(k *head.Kind) { k.Prefix = "transformer." }},
	} {
		t.Run(name, func(t *testing.T) {
			kind, _ := head.Lookup(c.base)
			inner := kind.New
			kind.New = func(o head.Options, hidden, latent int, std float64, ps *nn.Params) head.Head {
				how := c.how
				how.Head = inner(o, hidden, latent, std, ps)
				return how
			}
			if c.kind != nil {
				c.kind(&kind)
			}
			broke[c.check] = true
			i := slices.IndexFunc(checks, func(x check) bool { return x.name == c.check })
			if err := checks[i].on(kind); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v; want it to say %q", c.check, err, c.want)
			}
		})
	}
	for _, c := range checks {
		if !broke[c.name] {
			t.Errorf("no head breaks what %s checks", c.name)
		}
	}
}
