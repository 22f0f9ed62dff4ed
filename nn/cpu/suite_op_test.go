package cpu_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/internal/nntest"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// same compares two results bit for bit.
func same(t *testing.T, what string, got, want nntest.Result) {
	t.Helper()
	if math.Float64bits(got.Loss) != math.Float64bits(want.Loss) {
		t.Errorf("%s: loss %v, was %v", what, got.Loss, want.Loss)
	}
	for x, w := range want.Floats {
		sameBits(t, what+": "+x.String(), got.Floats[x], w)
	}
	for x, w := range want.Ints {
		if !slices.Equal(got.Ints[x], w) {
			t.Errorf("%s: %v differs", what, x)
		}
	}
	if len(got.Grads) != len(want.Grads) {
		t.Errorf("%s: %d gradients, were %d", what, len(got.Grads), len(want.Grads))
	}
	for p, w := range want.Grads {
		sameBits(t, what+": gradient of "+p.Name, got.Grads[p], w)
	}
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, were %d", what, len(got), len(want))
		return
	}
	for i, w := range want {
		if math.Float32bits(got[i]) != math.Float32bits(w) {
			t.Errorf("%s at [%d]: %v, was %v", what, i, got[i], w)
			return
		}
	}
}

// TestThreads: results follow from the shapes alone, bit for bit.
func TestThreads(t *testing.T) {
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		var engines []*cpu.Engine
		for threads := 1; threads <= 3; threads++ {
			engines = append(engines, engine(t, isa, threads))
		}
		nntest.Each(t, nntest.All, func(t *testing.T, c nntest.Case, g *nn.Graph, in nntest.Inputs) {
			training := nntest.Training(c, g)
			var want nntest.Result
			for i, e := range engines {
				p := compile(e, g, in, training)
				once(t, p, training)
				got := result(p, g, training)
				if i == 0 {
					want = got
				}
				same(t, fmt.Sprintf("%d threads", i+1), got, want)
			}
		})
	})
}

// TestMemoryIsWrittenBeforeRead: values that a run leaves in shared memory must not change the next run.
func TestMemoryIsWrittenBeforeRead(t *testing.T) {
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		e := engine(t, isa, 2)
		nntest.Each(t, nntest.All, func(t *testing.T, c nntest.Case, g *nn.Graph, in nntest.Inputs) {
			training := nntest.Training(c, g)
			p := compile(e, g, in, training)
			once(t, p, training)
			want := result(p, g, training)
			p.Poison()
			once(t, p, training)
			same(t, "after NaN", result(p, g, training), want)
		})
	})
}

// TestAccumulate: Step(true) adds to what the gradients were, and Step(false) forgets it.
func TestAccumulate(t *testing.T) {
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		e := engine(t, isa, 2)
		nntest.Each(t, nntest.Training, func(t *testing.T, c nntest.Case, g *nn.Graph, in nntest.Inputs) {
			p := compile(e, g, in, true)
			once(t, p, true)
			first := result(p, g, true)
			for range 2 {
				if err := p.Step(true); err != nil {
					t.Fatal(err)
				}
			}
			for param, grad := range result(p, g, true).Grads {
				scale := float32(0)
				for _, v := range first.Grads[param] {
					scale = max(scale, v, -v)
				}
				for i, v := range grad {
					if d := math.Abs(float64(v - 3*first.Grads[param][i])); !(d <= 3e-5*float64(scale)+3e-6) {
						t.Errorf("gradient of %s at [%d]: %v after three steps, %v after one", param.Name, i, v, first.Grads[param][i])
						break
					}
				}
			}
			once(t, p, true)
			same(t, "a step afterwards", result(p, g, true), first)
		})
	})
}

// TestRunsDoNotAllocate covers every operation, in training where it can be trained.
func TestRunsDoNotAllocate(t *testing.T) {
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		e := engine(t, isa, 2)
		nntest.Each(t, nntest.All, func(t *testing.T, c nntest.Case, g *nn.Graph, in nntest.Inputs) {
			modes := map[bool]bool{false: true, nntest.Training(c, g): true}
			for training := range modes {
				p := compile(e, g, in, training)
				once(t, p, training)
				if n := testing.AllocsPerRun(3, func() { once(t, p, training) }); n != 0 {
					t.Errorf("a run allocates %v times (training: %t)", n, training)
				}
			}
		})
	})
}
