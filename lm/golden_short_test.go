package lm_test

import (
	"testing"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
)

// TestGoldenBrierShort compares the scores of models whose patches have fewer than 4 tokens; TestGoldenBrierModel has the others.
func TestGoldenBrierShort(t *testing.T) {
	ran := 0
	for _, c := range testkit.Golden(t, "brier_model") {
		m := c.LM(t)
		if m.Config.PatchSize >= brier.N {
			continue
		}
		ran++
		t.Run(c.Name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) { goldenShort(t, c, m, e) })
		})
	}
	if ran == 0 {
		t.Skip("there is no case with patches of fewer than 4 tokens")
	}
}

func goldenShort(t *testing.T, c testkit.Case, m *lm.Model, e *cpu.Engine) {
	shape := c.Shape(t, "in.input_ids")
	ev := m.Evaluation(shape[0], shape[1], m.Config.NumSamples)
	backbone.Outputs(ev.Graph, ev.Caches)
	p := e.Compile(ev.Graph, cpu.Inference)
	if err := ev.Fill(p, c.Ints(t, "in.input_ids"), nil); err != nil {
		t.Fatal(err)
	}
	p.Feed(ev.Head.Noise, c.Floats(t, "in.noise"))
	p.Feed(ev.Head.TargetEps, c.Floats(t, "in.target_eps"))
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	testkit.Compare(t, "out.loss", p.Floats(ev.Head.Loss), c.Floats(t, "out.loss"), testkit.ForwardTolerance)
	n := len(p.Ints(ev.Targets))
	testkit.CompareInts(t, "out.predictions_1", p.Ints(ev.Tokens)[:n], c.Ints(t, "out.predictions_1"))
	testkit.CompareInts(t, "out.predictions_2", p.Ints(ev.Tokens)[n:2*n], c.Ints(t, "out.predictions_2"))

	x := eval.ExtentOf(m.Config.PatchSize, shape[1], true)
	r := recorded{t: t, c: c, e: e, m: m, x: x, rows: shape[0], steps: make([]int32, x.Windows)}
	for i := range r.steps {
		r.steps[i] = 1
	}
	var scores brier.Accumulator
	if err := lm.NewFurther(e, m, x, ev, p).Score(t.Context(), &scores, 0, shape[0], p.Ints(ev.Tokens), r.draw); err != nil {
		t.Fatal(err)
	}
	testkit.CompareInts(t, "in.steps", r.steps, c.Ints(t, "in.steps"))
	c.CompareScores(t, scores.Result(1), shape[0]*x.Windows)
}

// recorded draws further patches from the noise of a case and compares them with its tokens.
type recorded struct {
	t     *testing.T
	c     testkit.Case
	e     *cpu.Engine
	m     *lm.Model
	x     eval.Extent
	rows  int
	steps []int32 // [windows]: how many patches were looked at
}

func (r recorded) draw(round int, windows []int, hidden []float32) ([]int32, error) {
	k, s, size := r.x.Patch, r.m.Head.NoiseSize(), len(hidden)/r.m.Config.HiddenSize
	stepNoise, stepTokens := r.c.Floats(r.t, "in.step_noise"), r.c.Ints(r.t, "out.step_tokens")
	at := func(window, sample int) int { // in [windows, further, 2, B]
		row, i := window/r.x.Windows, window%r.x.Windows
		return ((i*r.x.Further+round-1)*2+sample)*r.rows + row
	}
	noise := make([]float32, 2*size*s)
	for i, w := range windows {
		r.steps[w%r.x.Windows] = int32(round + 1)
		for sample := range 2 {
			copy(noise[(sample*size+i)*s:][:s], stepNoise[at(w, sample)*s:])
		}
	}
	tokens, err := r.m.NewSampler(r.e, size, 2).DrawFrom(hidden, noise)
	if err != nil {
		return nil, err
	}
	for i, w := range windows {
		for sample := range 2 {
			testkit.CompareInts(r.t, "out.step_tokens", tokens[(sample*size+i)*k:][:k], stepTokens[at(w, sample)*k:][:k])
		}
	}
	return tokens, nil
}
