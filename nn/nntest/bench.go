package nntest

import (
	"testing"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
)

// Benchmark measures a training step of each operation at a shape of some size: prepare compiles a graph and returns
// what runs it once. It reports GFLOP/s of the products where there are any, and the bytes of the inputs and outputs a
// second.
func Benchmark(b *testing.B, prepare func(b *testing.B, g *nn.Graph, in Inputs) func() error) {
	for _, c := range benchmarks() {
		b.Run(c.Name(), func(b *testing.B) {
			built := c.build()
			run := prepare(b, built.Graph, built.Inputs)
			if err := run(); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			}
			seconds := b.Elapsed().Seconds() / float64(b.N)
			elements := 0
			for _, op := range built.Graph.Ops() {
				for _, t := range append(op.In(), op.Out()...) {
					elements += t.Size()
				}
			}
			if n := flops.Training(built.Graph).Total(); n > 0 {
				b.ReportMetric(n/seconds/1e9, "GFLOP/s")
			}
			b.ReportMetric(4*float64(elements)/seconds/1e9, "GB/s")
		})
	}
}

// benchmarks are the operations at the sizes of the preset lm-bytes.
func benchmarks() []Case {
	const n, d, f = 512, 320, 640
	var cases []Case
	bench := func(op, shape string, build func(b *Builder)) {
		cases = append(cases, Case{Op: op, Shape: shape, Build: build})
	}
	bench("Linear", "512x320x640", func(b *Builder) {
		b.Differentiate(b.Graph.Linear(b.Param("x", -1, 1, n, d), b.Param("w", -1, 1, f, d), b.Param("b", -1, 1, f), nn.LinearOptions{Act: nn.SiLUActivation}))
	})
	bench("Embedding", "512 of 2048x320", func(b *Builder) {
		b.Differentiate(b.Graph.Embedding(b.Param("table", -1, 1, 2048, d), b.IDs("ids", 2048, nil, n), -1))
	})
	bench("SwiGLU", "512x640", func(b *Builder) {
		b.Differentiate(b.Graph.SwiGLU(b.Param("gate", -2, 2, n, f), b.Param("up", -2, 2, n, f)))
	})
	bench("RMSNorm", "512x320", func(b *Builder) {
		b.Differentiate(b.Graph.RMSNorm(b.Param("x", -1, 1, n, d), b.Param("w", -1, 1, d), 1e-5))
	})
	bench("LayerNorm", "512x320", func(b *Builder) {
		b.Differentiate(b.Graph.LayerNorm(b.Param("x", -1, 1, n, d), b.Param("w", -1, 1, d), b.Param("b", -1, 1, d), 1e-6))
	})
	bench("Rotary", "4x128x320 heads=4", func(b *Builder) {
		b.Differentiate(b.Graph.Rotary(b.Param("x", -1, 1, 4, 128, d), nil, 4, 1e4))
	})
	bench("Attention", "4x128x320 heads=4/2", func(b *Builder) {
		kv := func(name string) *nn.Tensor { return b.Param(name, -1, 1, 4, 128, d/2) }
		b.Differentiate(b.Graph.Attention(b.Param("q", -1, 1, 4, 128, d), kv("k"), kv("v"), 4, 2))
	})
	bench("CrossEntropy", "512x320x2048", func(b *Builder) {
		b.Loss(b.Graph.CrossEntropy(b.Param("h", -1, 1, n, d), b.Param("w", -.1, .1, 2048, d), b.IDs("labels", 2048, nil, n)).Loss, 1)
	})
	bench("EnergyScore", "8 of 100, 128x64", func(b *Builder) {
		g := b.Graph
		e := g.EnergyScore(b.Param("pred", -1, 1, 8, 128, 64), b.Frozen("mean", -1, 1, 128, 64), b.Frozen("log_std", -2, 0, 128, 64),
			g.Random("eps", nn.Normal(), 100, 128, 64), nil, 1)
		b.Loss(e.Loss, 1)
	})
	bench("Reparameterize", "512x64", func(b *Builder) {
		b.Differentiate(b.Graph.Reparameterize(b.Param("mean", -1, 1, n, 64), b.Param("log_std", -2, 0, n, 64), b.Random("eps", -1, 1, n, 64)))
	})
	bench("ClampedKL", "512x64", func(b *Builder) {
		b.Loss(b.Graph.ClampedKL(b.Param("mean", -1, 1, n, 64), b.Param("log_std", -2, 0, n, 64), .5), 1)
	})
	bench("Modulate", "1024x128", func(b *Builder) {
		b.Differentiate(b.Graph.Modulate(b.Param("x", -1, 1, 1024, 128), b.Param("shift", -1, 1, 1024, 128), b.Param("scale", -1, 1, 1024, 128)))
	})
	bench("GatedAdd", "1024x128", func(b *Builder) {
		b.Differentiate(b.Graph.GatedAdd(b.Param("x", -1, 1, 1024, 128), b.Param("gate", -1, 1, 1024, 128), b.Param("h", -1, 1, 1024, 128)))
	})
	diffusion := diffusionCase("8x128x64", 8, 128, 64, nil)
	return append(cases, flowCase("8x128x64", 8, 128, 64), diffusion)
}
