package head_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

const (
	hidden, latent  = 22, 7
	noiseSize       = 5
	samples, places = 3, 4
)

func newHead(perturb float32) (*head.Energy, *nn.Params) {
	c := head.EnergyOptions{NumMLPLayers: 2, Beta: 1, NoiseSize: noiseSize, TargetSamples: 6}
	ps := nn.NewParams()
	h := head.NewEnergy(c, hidden, latent, .3, ps)
	ps.Initialize(1)
	if perturb > 0 {
		testkit.Perturb(ps, 2, perturb)
	}
	return h, ps
}

func normal(seed uint64, n int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(rng.NormFloat64())
	}
	return out
}

// sample runs the head once: y [P, D], noise [n, P, S].
func sample(t *testing.T, e *cpu.Engine, h *head.Energy, y, noise []float32) []float32 {
	t.Helper()
	g := nn.NewGraph()
	p, n := len(y)/hidden, len(noise)*hidden/len(y)/noiseSize
	in, r := g.Floats("hidden", p, hidden), h.Noise(g, "noise", n, p)
	out := h.Sample(g, in, r)
	g.Output(out)
	program := e.Compile(g, cpu.Inference)
	copy(program.Floats(in), y)
	program.Feed(r, noise)
	if err := program.Forward(); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(program.Floats(out))
}

// TestSampleEqualsFormula computes docs/spec.md, section 3.1 in float64, with the concatenation that the head avoids.
func TestSampleEqualsFormula(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		h, ps := newHead(.3)
		y, noise := normal(1, places*hidden), normal(2, samples*places*noiseSize)
		got := sample(t, e, h, y, noise)
		o := oracle{ps}
		for n := range samples {
			for p := range places {
				at := n*places + p
				want := o.sample(wide(y[p*hidden:][:hidden]), wide(noise[at*noiseSize:][:noiseSize]))
				testkit.Compare(t, "sample", got[at*latent:][:latent], want, 1e-5)
			}
		}
	})
}

// TestFirstSamplesCoincide: the last layer starts at zero.
func TestFirstSamplesCoincide(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	h, _ := newHead(0)
	for i, v := range sample(t, e, h, normal(1, places*hidden), normal(2, samples*places*noiseSize)) {
		if v != 0 {
			t.Fatalf("value %d of an untrained head is %v", i, v)
		}
	}
}

// oracle is the head in float64, row by row.
type oracle struct{ ps *nn.Params }

func (o oracle) linear(name string, x []float64) []float64 {
	w, b := o.ps.Get("mlp_generator."+name+".weight"), o.ps.Get("mlp_generator."+name+".bias")
	out := wide(b.Data)
	for i := range out {
		for j, v := range x {
			out[i] += float64(w.Data[i*len(x)+j]) * v
		}
	}
	return out
}

func (o oracle) norm(name string, x []float64) []float64 {
	w, b := o.ps.Get("mlp_generator."+name+".weight"), o.ps.Get("mlp_generator."+name+".bias")
	var mean, variance float64
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = (v-mean)/math.Sqrt(variance+1e-6)*float64(w.Data[i]) + float64(b.Data[i])
	}
	return out
}

func silu(x []float64) []float64 {
	for i, v := range x {
		x[i] = v / (1 + math.Exp(-v))
	}
	return x
}

func (o oracle) sample(y, noise []float64) []float32 {
	x := o.norm("norm_noise", o.linear("noise_embd", noise))
	y = o.norm("norm_hidden", o.linear("hidden_embd", y))
	for _, b := range []string{"mlp_blocks.0.", "mlp_blocks.1."} {
		t := silu(o.linear(b+"linears.0", slices.Concat(o.norm(b+"in_ln", x), y)))
		t = o.linear(b+"linears.4", silu(o.linear(b+"linears.2", t)))
		gate, up := silu(t[:hidden]), t[hidden:]
		for i := range gate {
			gate[i] *= up[i]
		}
		for i, v := range o.linear(b+"down_proj", gate) {
			x[i] += v
		}
	}
	x = o.linear("final_layer.linears.2", silu(o.linear("final_layer.linears.0", o.norm("final_layer.in_ln", x))))
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}
