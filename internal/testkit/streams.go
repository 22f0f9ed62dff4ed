package testkit

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// Rows is an input or an output of a graph for several streams, of shape [Outer, streams, ..].
type Rows struct {
	*nn.Tensor
	Outer int
	Below int32 // an int32 input has values from 0 to Below-1
}

// StreamCounts are numbers of streams to test.
var StreamCounts = []int{1, 2, 3, 4, 8, 16}

// EachFormat runs f as a subtest for weights of each format. make returns new parameters of float32, the same each time.
func EachFormat(t *testing.T, make func() *nn.Params, f func(t *testing.T, ps *nn.Params)) {
	t.Helper()
	for _, c := range []struct {
		name    string
		convert func(ps *nn.Params)
	}{
		{"float32", func(*nn.Params) {}},
		{"bfloat16", func(ps *nn.Params) { ps.RoundToBF16() }},
		{"int8", func(ps *nn.Params) { ps.QuantizeToInt8() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			ps := make()
			c.convert(ps)
			f(t, ps)
		})
	}
}

// CheckStreams demands that a program of several streams gives each of them bit for bit what a program of one stream gives
// it, for random inputs. build describes the graph for that many streams.
func CheckStreams(t testing.TB, e *cpu.Engine, build func(g *nn.Graph, streams int) (in, out []Rows)) {
	t.Helper()
	alone := newStreamProgram(e, 1, build)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range StreamCounts {
		many := newStreamProgram(e, n, build)
		for _, x := range many.in {
			many.draw(x, rng)
		}
		many.run(t)
		for s := range n {
			for i, x := range many.in {
				part(alone.p.Floats, many.p.Floats, alone.in[i], x, s, n, copyTo)
				part(alone.p.Ints, many.p.Ints, alone.in[i], x, s, n, copyTo)
			}
			alone.run(t)
			for i, x := range many.out {
				same := true
				part(alone.p.Floats, many.p.Floats, alone.out[i], x, s, n, func(a, b []float32) { same = same && slices.Equal(a, b) })
				part(alone.p.Ints, many.p.Ints, alone.out[i], x, s, n, func(a, b []int32) { same = same && slices.Equal(a, b) })
				if !same {
					t.Errorf("output %d, %v: stream %d of %d differs from the stream alone", i, x.Tensor, s, n)
				}
			}
		}
	}
}

type streamProgram struct {
	p       *cpu.Program
	in, out []Rows
}

func newStreamProgram(e *cpu.Engine, streams int, build func(g *nn.Graph, streams int) (in, out []Rows)) streamProgram {
	g := nn.NewGraph()
	in, out := build(g, streams)
	for _, x := range out {
		g.Output(x.Tensor)
	}
	return streamProgram{e.ForStreams(streams).Compile(g, cpu.Inference), in, out}
}

func (s streamProgram) draw(x Rows, rng *rand.Rand) {
	if x.DType() == nn.Int32 {
		for i := range s.p.Ints(x.Tensor) {
			s.p.Ints(x.Tensor)[i] = rng.Int32N(x.Below)
		}
		return
	}
	for i := range s.p.Floats(x.Tensor) {
		s.p.Floats(x.Tensor)[i] = float32(rng.NormFloat64())
	}
}

func (s streamProgram) run(t testing.TB) {
	t.Helper()
	if err := s.p.Forward(); err != nil {
		t.Fatal(err)
	}
}

func copyTo[T any](a, b []T) { copy(a, b) }

// part calls f for each outer part of a stream: alone, and as stream s of n. It does nothing for tensors of another type.
func part[T int32 | float32](aloneOf, manyOf func(*nn.Tensor) []T, alone, many Rows, s, n int, f func(alone, many []T)) {
	if _, ints := any(T(0)).(int32); ints != (alone.DType() == nn.Int32) {
		return
	}
	a, m := aloneOf(alone.Tensor), manyOf(many.Tensor)
	size := len(a) / alone.Outer
	for o := range alone.Outer {
		f(a[o*size:][:size], m[(o*n+s)*size:][:size])
	}
}
