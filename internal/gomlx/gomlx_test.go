package gomlx_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/internal/gomlx"
	"github.com/calm-go/calm/internal/nntest"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

func engine(t *testing.T) *gomlx.Engine {
	t.Helper()
	e, err := gomlx.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// TestSuite compares GoMLX with the definitions of the operations and their differences.
func TestSuite(t *testing.T) {
	e := engine(t)
	_, without := gomlx.Table()
	nntest.Check(t, func(t testing.TB, g *nn.Graph, in nntest.Inputs, training bool) nntest.Result {
		r, err := e.Run(g, in.Floats, in.Ints, training)
		if err != nil {
			t.Fatal(err)
		}
		return nntest.Result{Floats: r.Floats, Ints: r.Ints, Loss: r.Loss, Grads: r.Grads}
	}, without)
}

// TestTable: the engine translates every operation, or says why not.
func TestTable(t *testing.T) {
	implemented, without := gomlx.Table()
	nntest.CheckTable(t, "../../nn", implemented, without)
}

// TestCases compares the two engines on every case of the suite: all gradients, element by element.
func TestCases(t *testing.T) {
	e := engine(t)
	nntest.Each(t, nntest.Training, func(t *testing.T, c nntest.Case, g *nn.Graph, in nntest.Inputs) {
		compareEngines(t, e, g, in, 2e-5, max(1e-6, c.GradFloor))
	})
}

// compareEngines runs a training graph on GoMLX and on the CPU engine on every instruction set, and compares outputs
// and all gradients. The tolerance is relative to a tensor's largest value, plus floor.
func compareEngines(t *testing.T, e *gomlx.Engine, g *nn.Graph, in nntest.Inputs, tolerance, floor float64) {
	t.Helper()
	want, err := e.Run(g, in.Floats, in.Ints, true)
	if err != nil {
		t.Fatal(err)
	}
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		p := e.Compile(g, cpu.Training)
		for x, values := range in.Floats {
			if x.Role() == nn.RandomVar {
				p.Feed(x, values)
			} else {
				copy(p.Floats(x), values)
			}
		}
		for x, values := range in.Ints {
			copy(p.Ints(x), values)
		}
		if err := p.Step(false); err != nil {
			t.Fatal(err)
		}
		for x, w := range want.Floats {
			compare(t, "output "+x.String(), p.Floats(x), w, tolerance, floor)
		}
		for x, w := range want.Ints {
			testkit.CompareInts(t, x.String(), p.Ints(x), w)
		}
		compared := 0
		for _, x := range g.Tensors() {
			param := x.Param()
			if param == nil || x.Root() != x || !param.Trainable() {
				continue
			}
			got, w := p.Grad(param), want.Grads[param]
			if (got == nil) != (w == nil) {
				t.Errorf("gradient of %s: the CPU has one: %t, GoMLX: %t", param.Name, got != nil, w != nil)
				continue
			}
			compare(t, "gradient of "+param.Name, got, w, tolerance, floor)
			compared++
		}
		if compared == 0 {
			t.Error("no gradient was compared")
		}
	})
}

func compare(t *testing.T, name string, got, want []float32, tolerance, floor float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d values, want %d", name, len(got), len(want))
		return
	}
	scale := 0.
	for _, w := range want {
		scale = max(scale, math.Abs(float64(w)))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - float64(w)); !(d <= tolerance*scale+floor) {
			t.Errorf("%s at [%d]: CPU %g, GoMLX %g; allowed %.2g of %.3g", name, i, got[i], w, tolerance, scale)
			return
		}
	}
}

// draw gives every input and random tensor of a graph values: ids below vocab, random tensors of their distribution.
func draw(g *nn.Graph, vocab int) nntest.Inputs {
	in := nntest.Inputs{Floats: map[*nn.Tensor][]float32{}, Ints: map[*nn.Tensor][]int32{}}
	rng := rand.New(rand.NewPCG(11, 12))
	for _, x := range g.Tensors() {
		if x.Root() != x || x.Role() != nn.Input && x.Role() != nn.RandomVar {
			continue
		}
		if x.DType() == nn.Int32 {
			ids := make([]int32, x.Size())
			for i := range ids {
				ids[i] = int32(rng.IntN(vocab))
			}
			in.Ints[x] = ids
			continue
		}
		values := make([]float32, x.Size())
		for i := range values {
			switch d := x.Dist(); {
			case x.Role() == nn.Input:
				values[i] = 1
			case d.Kind == nn.NormalDist:
				values[i] = float32(rng.NormFloat64())
			case d.Kind == nn.IntegersDist:
				values[i] = float32(rng.IntN(d.N))
			case d.Kind == nn.UniformDist:
				values[i] = d.Lo + (d.Hi-d.Lo)*rng.Float32()
			case rng.Float32() < d.P:
				values[i] = d.Hi
			}
		}
		in.Floats[x] = values
	}
	return in
}

// Gradients of whole models pass through many layers of float32.
const modelTolerance = 5e-5

func TestAutoencoder(t *testing.T) {
	c := testkit.TinyAutoencoder()
	c.InitializerRange = .2
	m := autoencoder.New(c, nn.NewParams(), "")
	m.Params.Initialize(3)
	testkit.Perturb(m.Params, 4, .2)
	g := m.Training(7).Graph
	compareEngines(t, engine(t), g, draw(g, c.VocabSize), modelTolerance, 1e-6)
}

func TestLM(t *testing.T) {
	for name, change := range map[string]func(*lm.Config){
		"energy": func(*lm.Config) {}, "token heads": func(c *lm.Config) { c.TokenLossWeight = 2 }, "beta": func(c *lm.Config) { *c = testkit.Set(*c, "beta=1.5") },
		"small beta": func(c *lm.Config) { *c = testkit.Set(*c, "beta=.25") }, "anchor": func(c *lm.Config) { c.MSEAnchor = 3 },
		"latents": func(c *lm.Config) { c.Input = lm.Latents }, "both": func(c *lm.Config) { c.Input = lm.Both; c.TokenLossWeight = 1 },
		"flow": func(c *lm.Config) { *c = testkit.Set(*c, "model_type=flow") }, "diffusion": func(c *lm.Config) { *c = testkit.Set(*c, "model_type=diffusion") },
	} {
		t.Run(name, func(t *testing.T) {
			c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
			c.InitializerRange, ae.InitializerRange = .2, .2
			change(&c)
			m := lm.New(c, ae, nn.NewParams())
			m.Initialize(3)
			testkit.Perturb(m.Params, 4, .2)
			tr := m.Training(2, 5*c.PatchSize)
			in := draw(tr.Graph, ae.VocabSize)
			in.Floats[tr.Weight][1] = 0
			for _, labels := range tr.Labels { // the position is not counted anywhere
				in.Ints[labels][1] = -100
			}
			compareEngines(t, engine(t), tr.Graph, in, modelTolerance, 1e-6)
		})
	}
}

func TestAR(t *testing.T) {
	c := testkit.TinyAR()
	c.InitializerRange = .2
	m := ar.New(c, nn.NewParams())
	m.Params.Initialize(3)
	testkit.Perturb(m.Params, 4, .2)
	g := m.Training(2, 19).Graph
	compareEngines(t, engine(t), g, draw(g, c.VocabSize), modelTolerance, 1e-6)
}

// TestLeftOut: an operation that the engine leaves out is an error that gives the reason.
func TestLeftOut(t *testing.T) {
	g := nn.NewGraph()
	x := g.Floats("x", 1, 1, 2)
	g.Output(g.CachedAttention(x, x, x, g.State("k", 1, 3, 2), g.State("v", 1, 3, 2), g.Ints("slot", 1), g.Ints("start", 1), 1, 1))
	_, err := engine(t).Run(g, nil, nil, false)
	if err == nil || !strings.Contains(err.Error(), "nn.CachedAttention has no translation: it writes a cache") {
		t.Errorf("error %v", err)
	}
}

// TestMissingValues: the error names an input without values.
func TestMissingValues(t *testing.T) {
	g := nn.NewGraph()
	x := g.Floats("x", 2, 3)
	g.Output(g.SwiGLU(x, x))
	if _, err := engine(t).Run(g, nil, nil, false); err == nil || err.Error() != "x [2 3] has 0 values, needs 6" {
		t.Errorf("error %v", err)
	}
}
