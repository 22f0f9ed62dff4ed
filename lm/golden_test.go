package lm_test

import (
	"testing"

	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

func TestGoldenEnergy(t *testing.T) {
	for _, c := range testkit.Golden(t, "energy") {
		t.Run(c.Name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) { goldenEnergy(t, c, e) })
		})
	}
}

func goldenEnergy(t *testing.T, c testkit.Case, e *cpu.Engine) {
	m := c.LM(t)
	ids, labels := c.Ints(t, "in.input_ids"), c.Ints(t, "in.input_ids")
	if c.Has("in.labels") {
		labels = c.Ints(t, "in.labels")
	}
	shape := c.Shape(t, "in.input_ids")
	tr := m.Training(shape[0], shape[1])
	tr.Graph.Output(tr.PatchVectors, tr.Hidden, tr.Target.Mean, tr.Target.LogStd, tr.Head.Predictions)
	p := e.Compile(tr.Graph, cpu.Training)
	if err := tr.Fill(p, ids, labels); err != nil {
		t.Fatal(err)
	}
	kept := counted(p.Floats(tr.Weight))
	p.Feed(tr.Head.Noise, scatter(t, c, "in.noise", kept, tr.Head.Noise))
	p.Feed(tr.Head.TargetEps, scatter(t, c, "in.target_eps", kept, tr.Head.TargetEps))
	if err := p.Step(false); err != nil {
		t.Fatal(err)
	}
	check := func(name string, got []float32) {
		testkit.Compare(t, name, got, c.Floats(t, name), testkit.ForwardTolerance)
	}
	check("out.patch_inputs", p.Floats(tr.PatchVectors))
	check("out.hidden", p.Floats(tr.Hidden))
	check("out.mean", gather(p.Floats(tr.Target.Mean), tr.Target.Mean, kept))
	check("out.log_std", gather(p.Floats(tr.Target.LogStd), tr.Target.LogStd, kept))
	check("out.predictions", gather(p.Floats(tr.Head.Predictions), tr.Head.Predictions, kept))
	check("out.distance_x", pick(p.Floats(tr.Head.Terms[0]), kept))
	check("out.distance_y", pick(p.Floats(tr.Head.Terms[1]), kept))
	check("out.loss", p.Floats(tr.Head.Loss))
	c.CompareGradients(t, p, m.Params, testkit.GradientTolerance)
}

// Heads with a time embedding are compared less closely: the reference computes the angles in float32.
func TestGoldenFlow(t *testing.T) {
	goldenDenoisers(t, "flow", 3e-5, 1e-4, func(t *testing.T, c testkit.Case, p *cpu.Program, tr *lm.Training, kept []int) {
		velocity, terms := tr.Head.Predictions, tr.Head.Terms[0]
		testkit.Compare(t, "out.velocity", gather(p.Floats(velocity), velocity, kept), c.Floats(t, "out.velocity"), 3e-5)
		testkit.Compare(t, "out.terms", gatherRows(p.Floats(terms), terms, kept), c.Floats(t, "out.terms"), 3e-5)
	})
}

func TestGoldenDiffusion(t *testing.T) {
	goldenDenoisers(t, "diffusion", 5e-5, 2e-4, func(t *testing.T, c testkit.Case, p *cpu.Program, tr *lm.Training, kept []int) {
		out := tr.Head.Predictions
		testkit.Compare(t, "out.net_output", gather(p.Floats(out), out, kept), c.Floats(t, "out.net_output"), 5e-5)
		for i, name := range []string{"out.mse", "out.vb"} {
			terms := tr.Head.Terms[i]
			testkit.Compare(t, name, gatherRows(p.Floats(terms), terms, kept), c.Floats(t, name), 5e-5)
		}
	})
}

// goldenDenoisers runs the cases of a head that learns from noisy targets, on every instruction set. more compares what
// only this head has.
func goldenDenoisers(t *testing.T, kind string, loss, gradients float64, more func(*testing.T, testkit.Case, *cpu.Program, *lm.Training, []int)) {
	for _, c := range testkit.Golden(t, kind) {
		t.Run(c.Name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
				m := c.LM(t)
				tr, p, kept := goldenDenoiser(t, c, m, e)
				testkit.Compare(t, "out.loss", p.Floats(tr.Head.Loss), c.Floats(t, "out.loss"), loss)
				more(t, c, p, tr, kept)
				c.CompareGradients(t, p, m.Params, gradients)
			})
		})
	}
}

// goldenDenoiser makes a training step and compares what does not depend on the time embedding.
func goldenDenoiser(t *testing.T, c testkit.Case, m *lm.Model, e *cpu.Engine) (*lm.Training, *cpu.Program, []int) {
	ids, labels, shape := c.Ints(t, "in.input_ids"), c.Ints(t, "in.input_ids"), c.Shape(t, "in.input_ids")
	if c.Has("in.labels") {
		labels = c.Ints(t, "in.labels")
	}
	tr := m.Training(shape[0], shape[1])
	tr.Graph.Output(tr.PatchVectors, tr.Hidden, tr.Target.Mean, tr.Target.LogStd, tr.Head.Input, tr.Head.Predictions)
	p := e.Compile(tr.Graph, cpu.Training)
	if err := tr.Fill(p, ids, labels); err != nil {
		t.Fatal(err)
	}
	kept := counted(p.Floats(tr.Weight))
	p.Feed(tr.Head.TargetEps, scatter(t, c, "in.target_eps", kept, tr.Head.TargetEps))
	p.Feed(tr.Head.Noise, scatterRows(c.Floats(t, "in.noise"), kept, tr.Head.Noise))
	p.Feed(tr.Head.Times, scatterTimes(goldenTimes(t, c), kept, tr.Head.Times))
	if err := p.Step(false); err != nil {
		t.Fatal(err)
	}
	check := func(name string, got []float32) {
		testkit.Compare(t, name, got, c.Floats(t, name), testkit.ForwardTolerance)
	}
	if c.Has("out.time_index") {
		testkit.CompareTimeIndices(t, e, tr.Graph, "out.time_index", c.Floats(t, "in.times"), c.Ints(t, "out.time_index"))
	}
	check("out.patch_inputs", p.Floats(tr.PatchVectors))
	check("out.hidden", p.Floats(tr.Hidden))
	check("out.mean", gather(p.Floats(tr.Target.Mean), tr.Target.Mean, kept))
	check("out.log_std", gather(p.Floats(tr.Target.LogStd), tr.Target.LogStd, kept))
	check("out.x_t", gather(p.Floats(tr.Head.Input), tr.Head.Input, kept))
	return tr, p, kept
}

// goldenTimes reads the times of a flow or the steps of a diffusion.
func goldenTimes(t *testing.T, c testkit.Case) []float32 {
	if c.Has("in.times") {
		return c.Floats(t, "in.times")
	}
	var times []float32
	for _, v := range c.Ints(t, "in.timesteps") {
		times = append(times, float32(v))
	}
	return times
}

// scatterRows puts rows [N*kept, Z] where a tensor [N, P, Z] has its positions, and scatterTimes numbers [N*kept] where
// one [N, P] has them.
func scatterRows(from []float32, kept []int, to *nn.Tensor) []float32 {
	return scatterTo(from, kept, to.Dim(0), to.Dim(1), to.Cols())
}

func scatterTimes(from []float32, kept []int, to *nn.Tensor) []float32 {
	return scatterTo(from, kept, to.Dim(0), to.Dim(1), 1)
}

func scatterTo(from []float32, kept []int, n, positions, cols int) []float32 {
	out := make([]float32, n*positions*cols)
	for x := range n {
		for i, p := range kept {
			copy(out[(x*positions+p)*cols:][:cols], from[(x*len(kept)+i)*cols:])
		}
	}
	return out
}

// gatherRows is gather for a tensor [N, P].
func gatherRows(from []float32, shape *nn.Tensor, kept []int) (out []float32) {
	for n := range shape.Dim(0) {
		out = append(out, pick(from[n*shape.Dim(1):], kept)...)
	}
	return out
}

// counted returns the positions of weight 1: golden files hold those only, the graph has all.
func counted(weight []float32) (kept []int) {
	for i, w := range weight {
		if w != 0 {
			kept = append(kept, i)
		}
	}
	return kept
}

// scatter reads draws [X, kept, Y] of the case and puts them where a tensor [X, P, Y] has its positions.
func scatter(t *testing.T, c testkit.Case, name string, kept []int, to *nn.Tensor) []float32 {
	t.Helper()
	from, shape := c.Floats(t, name), c.Shape(t, name)
	if shape[0] != to.Dim(0) || shape[1] != len(kept) || shape[2] != to.Dim(2) {
		t.Fatalf("%s has shape %v, the graph wants %v at %d positions", name, shape, to, len(kept))
	}
	return scatterRows(from, kept, to)
}

// gather is the reverse of scatter, for a tensor [.., P, Y].
func gather(from []float32, shape *nn.Tensor, kept []int) (out []float32) {
	positions, cols := shape.Dim(-2), shape.Cols()
	for x := range shape.Rows() / positions {
		for _, p := range kept {
			out = append(out, from[(x*positions+p)*cols:][:cols]...)
		}
	}
	return out
}

func pick(from []float32, kept []int) (out []float32) {
	for _, p := range kept {
		out = append(out, from[p])
	}
	return out
}

// TestGoldenBrierModel checks the evaluation's samples and loss; eval/brier makes scores of them.
func TestGoldenBrierModel(t *testing.T) {
	ran := 0
	for _, c := range testkit.Golden(t, "brier_model") {
		m := c.LM(t)
		if m.Config.PatchSize < 4 {
			continue // further patches continue the samples there
		}
		ran++
		t.Run(c.Name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) { goldenBrier(t, c, m, e) })
		})
	}
	if ran == 0 {
		t.Skip("there is no case with patches of 4 tokens or more")
	}
}

func goldenBrier(t *testing.T, c testkit.Case, m *lm.Model, e *cpu.Engine) {
	ids, shape := c.Ints(t, "in.input_ids"), c.Shape(t, "in.input_ids")
	ev := m.Evaluation(shape[0], shape[1], m.Config.NumSamples)
	p := e.Compile(ev.Graph, cpu.Inference)
	if err := ev.Fill(p, ids, nil); err != nil {
		t.Fatal(err)
	}
	p.Feed(ev.Head.Noise, c.Floats(t, "in.noise"))
	p.Feed(ev.Head.TargetEps, c.Floats(t, "in.target_eps"))
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	testkit.Compare(t, "out.loss", p.Floats(ev.Head.Loss), c.Floats(t, "out.loss"), testkit.ForwardTolerance)
	tokens := p.Ints(ev.Tokens) // [N, P, K]
	n := len(tokens) / m.Config.NumSamples
	testkit.CompareInts(t, "out.predictions_1", tokens[:n], c.Ints(t, "out.predictions_1"))
	testkit.CompareInts(t, "out.predictions_2", tokens[n:2*n], c.Ints(t, "out.predictions_2"))
	goldenScore(t, c, ev, p, tokens)
}

// goldenScore compares BrierLM of the first two samples of each position.
func goldenScore(t *testing.T, c testkit.Case, ev *lm.Evaluation, p *cpu.Program, tokens []int32) {
	n, k := ev.Tokens.Dim(0), ev.Tokens.Dim(2)
	byPosition := testkit.ByPosition(tokens, n, k)
	estimator, err := brier.NewEstimator(2, k)
	if err != nil {
		t.Fatal(err)
	}
	var mean brier.Score
	positions := ev.Tokens.Dim(1)
	for i := range positions {
		s := estimator.Score(byPosition[i*n*k:][:2*k], p.Ints(ev.Targets)[i*k:][:k])
		for j := range mean {
			mean[j] += s[j] / float64(positions)
		}
	}
	c.CompareBrier(t, mean)
}
