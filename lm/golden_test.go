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
	check("out.distance_x", pick(p.Floats(tr.Head.Score.DistX), kept))
	check("out.distance_y", pick(p.Floats(tr.Head.Score.DistY), kept))
	check("out.loss", p.Floats(tr.Head.Score.Loss))
	c.CompareGradients(t, p, m.Params)
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
	out := make([]float32, to.Size())
	for x := range shape[0] {
		for i, p := range kept {
			copy(out[(x*to.Dim(1)+p)*shape[2]:][:shape[2]], from[(x*len(kept)+i)*shape[2]:])
		}
	}
	return out
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
	testkit.Compare(t, "out.loss", p.Floats(ev.Head.Score.Loss), c.Floats(t, "out.loss"), testkit.ForwardTolerance)
	tokens := p.Ints(ev.Tokens) // [N, P, K]
	n := len(tokens) / m.Config.NumSamples
	testkit.CompareInts(t, "out.predictions_1", tokens[:n], c.Ints(t, "out.predictions_1"))
	testkit.CompareInts(t, "out.predictions_2", tokens[n:2*n], c.Ints(t, "out.predictions_2"))
	goldenScore(t, c, ev, p, tokens)
}

// goldenScore compares BrierLM of the first two samples of each position.
func goldenScore(t *testing.T, c testkit.Case, ev *lm.Evaluation, p *cpu.Program, tokens []int32) {
	n, k := ev.Tokens.Dim(0), ev.Tokens.Dim(2)
	byPosition := make([]int32, len(tokens))
	ev.ByPosition(byPosition, tokens)
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
	var got []float32
	for _, b := range mean {
		got = append(got, float32(b))
	}
	testkit.Compare(t, "out.brier", got, c.Floats(t, "out.brier"), testkit.ForwardTolerance)
	testkit.Compare(t, "out.brier_lm", []float32{float32(mean.ReferenceLM())}, c.Floats(t, "out.brier_lm"), testkit.ForwardTolerance)
}
