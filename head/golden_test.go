package head_test

import (
	"strings"
	"testing"

	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/flow"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn/cpu"
)

// trace records a run of a sampler.
type trace struct {
	times       []float32
	x, out      []float32 // [evaluations, R, ..]
	latent      []float32
	evaluations int
}

// follow draws once for each hidden state and records the evaluations. Like the reference, it does not check for
// divergence.
func follow(t *testing.T, e *cpu.Engine, h head.Head, c testkit.Case, noise []float32) (tr trace) {
	hidden, shape := c.Floats(t, "in.hidden"), c.Shape(t, "in.hidden")
	var err error
	s := h.NewSampler(e, shape[0]*shape[1], 1)
	tr.latent, err = head.Follow(s, hidden, noise, func(k int, time float32, x, out []float32) {
		if k != tr.evaluations {
			t.Errorf("evaluation %d comes as number %d", k, tr.evaluations)
		}
		tr.evaluations++
		tr.times = append(tr.times, time)
		tr.x, tr.out = append(tr.x, x...), append(tr.out, out...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// eachRun calls f for the runs of a sampler's case, named by their initial noise, on every instruction set.
func eachRun(t *testing.T, c testkit.Case, f func(t *testing.T, e *cpu.Engine, run string)) {
	const suffix = ".initial_noise"
	ran := 0
	for _, name := range c.Names("in.") {
		run, ok := strings.CutSuffix(strings.TrimPrefix(name, "in."), suffix)
		if !ok {
			continue
		}
		ran++
		t.Run(c.Name+"/"+run, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) { f(t, e, run) })
		})
	}
	if ran == 0 {
		t.Errorf("%s has no run", c.Name)
	}
}

// TestGoldenFlowSampler follows the solver, evaluation by evaluation.
func TestGoldenFlowSampler(t *testing.T) {
	for _, c := range testkit.Golden(t, "flow_sampler") {
		m := c.LM(t)
		training := m.Training(1, 2*m.Config.PatchSize).Graph
		eachRun(t, c, func(t *testing.T, e *cpu.Engine, run string) {
			times := c.Floats(t, "out."+run+".times")
			h := *m.Head.(*head.Flow)
			h.Options.Solver, h.Options.SamplingSteps = string(flow.Midpoint), len(times)/2
			if run == "euler" {
				h.Options.Solver, h.Options.SamplingSteps = string(flow.Euler), len(times)
			}
			tr := follow(t, e, &h, c, c.Floats(t, "in."+run+".initial_noise"))
			check := func(name string, got []float32, tolerance float64) {
				testkit.Compare(t, name, got, c.Floats(t, "out."+run+"."+name), tolerance)
			}
			check("times", tr.times, 1e-5)
			check("x", tr.x, 1e-5)
			check("velocity", tr.out, 3e-5) // the reference computes the angles in float32
			check("latent", tr.latent, 1e-5)
			testkit.CompareTimeIndices(t, e, training, "time_index", tr.times, c.Ints(t, "out."+run+".time_index"))
		})
	}
}

// TestGoldenDiffusionSampler follows the reverse steps.
func TestGoldenDiffusionSampler(t *testing.T) {
	for _, c := range testkit.Golden(t, "diffusion_sampler") {
		m := c.LM(t)
		z := m.Config.LatentSize
		eachRun(t, c, func(t *testing.T, e *cpu.Engine, run string) {
			want := c.Ints(t, "out."+run+".timesteps")
			h := *m.Head.(*head.Diffusion)
			h.Options.SamplingSteps = len(want)
			initial, steps := c.Floats(t, "in."+run+".initial_noise"), c.Floats(t, "in."+run+".step_noise")
			var noise []float32
			for r := range len(initial) / z {
				noise = append(noise, initial[r*z:(r+1)*z]...)
				for i := range len(want) - 1 { // the last is not used
					noise = append(noise, steps[i*len(initial)+r*z:][:z]...)
				}
			}
			tr := follow(t, e, &h, c, noise)
			var got []int32
			for _, v := range tr.times {
				got = append(got, int32(v))
			}
			testkit.CompareInts(t, "timesteps", got, want)
			latentTolerance := 5e-4
			if run == "default" || run == "small" {
				latentTolerance = 5e-5
			}
			path := append(tr.x[len(initial):], tr.latent...)
			testkit.Compare(t, "net_output", tr.out, c.Floats(t, "out."+run+".net_output"), 5e-4)
			testkit.Compare(t, "path", path, c.Floats(t, "out."+run+".path"), 5e-4)
			testkit.Compare(t, "latent", tr.latent, c.Floats(t, "out."+run+".latent"), latentTolerance)
		})
	}
}
