package nntest

import (
	"slices"
	"testing"

	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
)

// Benchmark measures a training step of each operation that has a case to measure. prepare compiles a graph and returns
// the function that runs it once. It reports GFLOP/s of the products where there are any, and the bytes of inputs and outputs per
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
				d := op.Describe()
				for _, t := range slices.Concat(d.In, d.Out) {
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
