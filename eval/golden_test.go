package eval

import (
	"testing"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
)

// TestGoldenBrierModel compares the scores of models whose patches have fewer than 4 tokens; package lm has the others.
func TestGoldenBrierModel(t *testing.T) {
	ran := 0
	for _, c := range testkit.Golden(t, "brier_model") {
		m := c.LM(t)
		if furtherPatches(m.Config.PatchSize) == 0 {
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

	x := extentOf(m.Config.PatchSize, shape[1], true)
	r := recorded{t: t, c: c, e: e, m: m, x: x, rows: shape[0], steps: make([]int32, x.windows)}
	for i := range r.steps {
		r.steps[i] = 1
	}
	var scores brier.Accumulator
	if err := newFurtherLM(e, m, x, ev, p).score(t.Context(), &scores, 0, shape[0], p.Ints(ev.Tokens), r.draw); err != nil {
		t.Fatal(err)
	}
	testkit.CompareInts(t, "in.steps", r.steps, c.Ints(t, "in.steps"))
	compareScores(t, c, scores.Result(1), shape[0]*x.windows)
}

// recorded draws further patches from the noise of a case and compares them with its tokens.
type recorded struct {
	t     *testing.T
	c     testkit.Case
	e     *cpu.Engine
	m     *lm.Model
	x     extent
	rows  int
	steps []int32 // [windows]: how many patches were looked at
}

func (r recorded) draw(round int, windows []int, hidden []float32) ([]int32, error) {
	k, s, size := r.x.patch, r.m.Config.NoiseSize, len(hidden)/r.m.Config.HiddenSize
	stepNoise, stepTokens := r.c.Floats(r.t, "in.step_noise"), r.c.Ints(r.t, "out.step_tokens")
	at := func(window, sample int) int { // in [windows, further, 2, B]
		row, i := window/r.x.windows, window%r.x.windows
		return ((i*r.x.further+round-1)*2+sample)*r.rows + row
	}
	noise := make([]float32, 2*size*s)
	for i, w := range windows {
		r.steps[w%r.x.windows] = int32(round + 1)
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

// compareScores takes what was measured in percent.
func compareScores(t *testing.T, c testkit.Case, r brier.Result, positions int) {
	t.Helper()
	if r.Positions != positions {
		t.Errorf("%d positions, want %d", r.Positions, positions)
	}
	var mean brier.Score
	for j, b := range r.Brier {
		mean[j] = b / 100
	}
	c.CompareBrier(t, mean)
}

// TestGoldenARBrier compares the baseline's scores under the reference's draws.
func TestGoldenARBrier(t *testing.T) {
	for _, c := range testkit.Golden(t, "ar_brier") {
		t.Run(c.Name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) { goldenAR(t, c, e) })
		})
	}
}

func goldenAR(t *testing.T, c testkit.Case, e *cpu.Engine) {
	m, shape := c.AR(t), c.Shape(t, "in.input_ids")
	rows, tokens := shape[0], shape[1]
	ev := m.Evaluation(rows, tokens, 2)
	p := e.Compile(ev.Graph, cpu.Inference)
	if err := ev.Fill(p, c.Ints(t, "in.input_ids")); err != nil {
		t.Fatal(err)
	}
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	loss, logP := 0.0, p.Floats(ev.Tokens.LogP)
	for _, l := range logP {
		loss -= float64(l) / float64(len(logP))
	}
	testkit.Compare(t, "out.loss", []float32{float32(loss)}, c.Floats(t, "out.loss"), testkit.ForwardTolerance)

	f := newFurtherAR(e, m, tokens, ev, p)
	draws := c.Ints(t, "in.draws")
	recorded := func(window, round, sample int) int32 { // in [windows, 4, B, 2]
		row, i := window/f.windows, window%f.windows
		return draws[((i*brier.N+round)*rows+row)*2+sample]
	}
	first := p.Ints(ev.Tokens.Draws)
	for w := range rows * f.windows {
		for sample := range 2 {
			first[sample*len(logP)+w/f.windows*(tokens-1)+w%f.windows] = recorded(w, 0, sample)
		}
	}
	own := f.draws(1, 0)
	replaced := func(round int, windows []int, hidden []float32) ([]int32, error) {
		out, err := own(round, windows, hidden)
		for i, w := range windows {
			for sample := range 2 {
				out[sample*len(out)/2+i] = recorded(w, round, sample)
				if round < f.further && recorded(w, round, sample) < 0 {
					t.Errorf("position %d, step %d: the reference had stopped", w, round)
				}
			}
		}
		return out, err
	}
	var scores brier.Accumulator
	if err := f.score(t.Context(), &scores, 0, rows, replaced); err != nil {
		t.Fatal(err)
	}
	compareScores(t, c, scores.Result(1), rows*(tokens-4))
}
