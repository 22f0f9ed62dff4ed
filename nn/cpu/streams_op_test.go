package cpu_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// streamParams are the parameters of streamOperations.
func streamParams(vocab, d int) *nn.Params {
	ps := nn.NewParams()
	ps.Matrix("table", nn.Gaussian(1), vocab, d)
	ps.Matrix("up", nn.Gaussian(.3), 2*d+3, d)
	ps.Vector("bias", nn.Gaussian(.3), 2*d+3)
	ps.Matrix("down", nn.Gaussian(.3), d, d+3)
	ps.Vector("weight", nn.Gaussian(1), d)
	ps.Vector("shift", nn.Gaussian(1), d)
	ps.Initialize(3)
	return ps
}

// streamOperations is a graph of the operations that models write texts with, on tensors [draws, streams, D]. They take parts
// that repeat for the draws from tensors [streams, D].
func streamOperations(ps *nn.Params, draws int) func(g *nn.Graph, streams int) (in, out []testkit.Rows) {
	return func(g *nn.Graph, streams int) (in, out []testkit.Rows) {
		add := func(list *[]testkit.Rows, t *nn.Tensor, outer int) *nn.Tensor {
			*list = append(*list, testkit.Rows{Tensor: t, Outer: outer, Below: int32(ps.Get("table").Shape[0])})
			return t
		}
		param := func(name string) *nn.Tensor { return g.Param(ps.Get(name)) }
		d := ps.Get("weight").Size()
		ids := add(&in, g.Ints("ids", draws, streams), draws)
		shared, times := add(&in, g.Floats("shared", streams, d), 1), add(&in, g.Floats("times", streams), 1)
		x := add(&in, g.Floats("x", draws, streams, d), draws)
		e := add(&out, g.Embedding(param("table"), ids, -1), draws)
		y := add(&out, g.Linear(shared, param("up"), param("bias"), nn.LinearOptions{Rows: d, Act: nn.SiLUActivation}), 1)
		y = add(&out, g.Linear(g.Mul(x, e), param("up"), param("bias"), nn.LinearOptions{Row: d, Rows: d, Add: y}), draws)
		y = add(&out, g.RMSNorm(y, param("weight"), 1e-6), draws)
		y = add(&out, g.LayerNorm(y, param("weight"), param("shift"), 1e-6), draws)
		y = add(&out, g.Modulate(y, shared, add(&out, g.SinusoidalEmbedding(times, 100, d), 1)), draws)
		y = add(&out, g.GatedAdd(x, shared, y), draws)
		y = add(&out, g.SwiGLU(y, g.Linear(y, param("down"), nil, nn.LinearOptions{Col: 3, Cols: d, Add: x})), draws)
		add(&out, g.ArgMax(y, param("table")), draws)
		return in, out
	}
}

// TestStreams: every operation that models write texts with gives each stream bit for bit what it gives it alone, for few rows
// and for many, for weights of every format, and for a vocabulary that is taken in chunks.
func TestStreams(t *testing.T) {
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		e := engine(t, isa, 2)
		for _, size := range [][2]int{{131, 22}, {300, 64}, {2500, 6}} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				testkit.EachFormat(t, func() *nn.Params { return streamParams(size[0], size[1]) }, func(t *testing.T, ps *nn.Params) {
					for _, draws := range []int{1, 3, 16, 17, 64} {
						testkit.CheckStreams(t, e, streamOperations(ps, draws))
					}
				})
			})
		}
	})
}

// TestStreamAttention: rotations and attention to slots of a cache.
func TestStreamAttention(t *testing.T) {
	const heads, kv, d, capacity = 4, 2, 6, 20
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		e := engine(t, isa, 2)
		for _, n := range []int{1, 3, 17} { // positions that are appended
			testkit.CheckStreams(t, e, func(g *nn.Graph, streams int) (in, out []testkit.Rows) {
				floats := func(name string, shape ...int) *nn.Tensor {
					in = append(in, testkit.Rows{Tensor: g.Floats(name, shape...), Outer: 1})
					return in[len(in)-1].Tensor
				}
				q, k, v := floats("q", streams, n, heads*d), floats("k", streams, n, kv*d), floats("v", streams, n, kv*d)
				start := g.Ints("start", streams)
				y := g.Attention(g.Rotary(q, start, heads, 100), k, v, heads, kv)
				in = append(in, testkit.Rows{Tensor: start, Outer: 1, Below: capacity - int32(n) + 1})
				return in, []testkit.Rows{{Tensor: y, Outer: 1}}
			})
		}
	})
}

// TestArgMaxOfChunks: the likeliest row of a table is the same in whatever chunks the table is taken, with numbers that are
// not finite too.
func TestArgMaxOfChunks(t *testing.T) {
	const vocab = 2500
	e := engine(t, kernel.Best(), 2)
	ps := nn.NewParams()
	table := ps.Matrix("table", nn.Constant(0), vocab, 1)
	ps.Initialize(1)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	run := func(rows int) int32 {
		g := nn.NewGraph()
		h := g.Floats("h", rows, 1)
		best := g.ArgMax(h, g.Param(table))
		g.Output(best)
		p := e.Compile(g, cpu.Inference)
		for i := range rows {
			p.Floats(h)[i] = 1
		}
		once(t, p, false)
		return p.Ints(best)[rows-1]
	}
	for _, c := range []struct {
		at     map[int]float32
		likely int32
	}{
		{nil, 0}, {map[int]float32{2400: 1, 7: .5, 1024: 1}, 1024}, {map[int]float32{5: inf, 2000: inf}, 5},
		{map[int]float32{5: inf, 2000: nan, 2100: nan}, 2000}, {map[int]float32{3: nan, 2000: inf}, 3}, {map[int]float32{3: nan, 2000: nan}, 3},
	} {
		clear(table.Data)
		for i, v := range c.at {
			table.Data[i] = v
		}
		if one, many := run(1), run(1<<13); one != c.likely || many != c.likely { // in chunks of 2,500 and of 1,024
			t.Errorf("%v: %d in one chunk, %d in several, want %d", c.at, one, many, c.likely)
		}
	}
}

// TestStreamsRefuse: a graph that mixes streams panics.
func TestStreamsRefuse(t *testing.T) {
	e := engine(t, kernel.Best(), 1)
	ps := streamParams(20, 8)
	table := ps.Get("table")
	for want, build := range map[string]func(g *nn.Graph){
		"a product of 3 rows in a program of 2 streams": func(g *nn.Graph) {
			g.Output(g.Linear(g.Floats("x", 3, 8), g.Param(table), nil, nn.LinearOptions{}))
		},
		"random tensors": func(g *nn.Graph) { g.Output(g.Mul(g.Floats("x", 4), g.Random("r", nn.Normal(), 4))) },
		"nn.CrossEntropy, which sums": func(g *nn.Graph) {
			g.Output(g.CrossEntropy(g.Floats("x", 4, 8), g.Param(table), g.Ints("labels", 4)).Loss)
		},
		"nn.Categorical, which groups": func(g *nn.Graph) {
			g.Output(g.Categorical(g.Floats("x", 4, 8), g.Param(table), g.Ints("labels", 4), g.Floats("u", 1, 4)).LogP)
		},
	} {
		func() {
			defer func() {
				if s := fmt.Sprint(recover()); !strings.Contains(s, want) {
					t.Errorf("panic %q, want %q", s, want)
				}
			}()
			g := nn.NewGraph()
			build(g)
			e.ForStreams(2).Compile(g, cpu.Inference)
		}()
	}
}

// TestStreamsShareAnEngine: views have the engine's threads and instruction set, do not allocate in a run, and are closed
// with it.
func TestStreamsShareAnEngine(t *testing.T) {
	e := cpu.New(cpu.Options{Threads: 2})
	view := e.ForStreams(4)
	if e.Streams() != 1 || view.Streams() != 4 || view.ForStreams(1).Streams() != 1 || view.Threads() != 2 || view.ISA() != e.ISA() {
		t.Errorf("engine of %d streams, view of %d, %d threads, %v", e.Streams(), view.Streams(), view.Threads(), view.ISA())
	}
	ps := streamParams(30, 8)
	g := nn.NewGraph()
	_, out := streamOperations(ps, 3)(g, 4)
	for _, x := range out {
		g.Output(x.Tensor)
	}
	p := view.Compile(g, cpu.Inference)
	once(t, p, false)
	if n := testing.AllocsPerRun(5, func() { once(t, p, false) }); n != 0 {
		t.Errorf("a run of several streams allocates %v times", n)
	}
	view.Close()
	if err := p.Forward(); !errors.Is(err, cpu.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	g = nn.NewGraph()
	x := g.Floats("x", 2)
	g.Output(g.Mul(x, x))
	if err := e.Compile(g, cpu.Inference).Forward(); !errors.Is(err, cpu.ErrClosed) {
		t.Errorf("the engine after its view was closed: %v", err)
	}
	e.Close()
}
