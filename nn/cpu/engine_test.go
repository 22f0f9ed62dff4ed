package cpu_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/internal/nntest"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// eachISA runs f on every instruction set the machine has; CALM_REQUIRE_ISA names those that must be among them.
func eachISA(t *testing.T, f func(t *testing.T, isa kernel.ISA)) {
	t.Helper()
	sets := kernel.Available()
	for name := range strings.SplitSeq(os.Getenv("CALM_REQUIRE_ISA"), ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if isa, err := kernel.ParseISA(name); err != nil || !slices.Contains(sets, isa) {
			t.Fatalf("CALM_REQUIRE_ISA asks for %s, which cannot run here: have %v", name, sets)
		}
	}
	for _, isa := range sets {
		t.Run(isa.String(), func(t *testing.T) { f(t, isa) })
	}
}

func engine(t testing.TB, isa kernel.ISA, threads int) *cpu.Engine {
	e := cpu.New(cpu.Options{ISA: cpu.ISAOf(isa), Threads: threads})
	t.Cleanup(e.Close)
	return e
}

// compile prepares a program with its inputs.
func compile(e *cpu.Engine, g *nn.Graph, in nntest.Inputs, training bool) *cpu.Program {
	mode := cpu.Inference
	if training {
		mode = cpu.Training
	}
	p := e.Compile(g, mode)
	for x, values := range in.Floats {
		switch x.Role() {
		case nn.RandomVar:
			p.Feed(x, values)
		case nn.State:
			p.Bind(x, slices.Clone(values))
		default:
			copy(p.Floats(x), values)
		}
	}
	for x, values := range in.Ints {
		copy(p.Ints(x), values)
	}
	return p
}

func once(t testing.TB, p *cpu.Program, training bool) {
	t.Helper()
	run := p.Forward
	if training {
		run = func() error { return p.Step(false) }
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
}

// result copies what a run left.
func result(p *cpu.Program, g *nn.Graph, training bool) nntest.Result {
	r := nntest.Result{Floats: map[*nn.Tensor][]float32{}, Ints: map[*nn.Tensor][]int32{}, Grads: map[*nn.Param][]float32{}}
	for _, o := range g.Outputs() {
		if o.DType() == nn.Int32 {
			r.Ints[o] = slices.Clone(p.Ints(o))
		} else {
			r.Floats[o] = slices.Clone(p.Floats(o))
		}
	}
	r.Loss = p.Loss()
	for _, x := range g.Tensors() {
		if param := x.Param(); training && param != nil && p.Grad(param) != nil {
			r.Grads[param] = slices.Clone(p.Grad(param))
		}
	}
	return r
}

func TestSuite(t *testing.T) {
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		e := engine(t, isa, 2)
		nntest.Check(t, func(t testing.TB, g *nn.Graph, in nntest.Inputs, training bool) nntest.Result {
			p := compile(e, g, in, training)
			once(t, p, training)
			return result(p, g, training)
		}, nil)
	})
}

// TestTable: the engine implements every operation.
func TestTable(t *testing.T) { nntest.CheckTable(t, "..", cpu.Implemented(), nil) }

// BenchmarkOp measures a training step of each operation, by instruction set and number of threads.
func BenchmarkOp(b *testing.B) {
	isa := kernel.Best()
	for _, threads := range []int{1, 2} {
		e := engine(b, isa, threads)
		b.Run(fmt.Sprintf("isa=%v/threads=%d", isa, threads), func(b *testing.B) {
			nntest.Benchmark(b, func(b *testing.B, g *nn.Graph, in nntest.Inputs) func() error {
				p := compile(e, g, in, true)
				return func() error { return p.Step(false) }
			})
		})
	}
}
