package ar_test

import (
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn/cpu"
)

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

	f := ar.NewFurther(e, m, tokens, ev, p)
	draws := c.Ints(t, "in.draws")
	recorded := func(window, round, sample int) int32 { // in [windows, 4, B, 2]
		row, i := window/f.Windows, window%f.Windows
		return draws[((i*brier.N+round)*rows+row)*2+sample]
	}
	first := p.Ints(ev.Tokens.Draws)
	for w := range rows * f.Windows {
		for sample := range 2 {
			first[sample*len(logP)+w/f.Windows*(tokens-1)+w%f.Windows] = recorded(w, 0, sample)
		}
	}
	own := f.Draws(1, 0)
	replaced := func(round int, windows []int, hidden []float32) ([]int32, error) {
		out, err := own(round, windows, hidden)
		for i, w := range windows {
			for sample := range 2 {
				out[sample*len(out)/2+i] = recorded(w, round, sample)
				if round < f.Further && recorded(w, round, sample) < 0 {
					t.Errorf("position %d, step %d: the reference had stopped", w, round)
				}
			}
		}
		return out, err
	}
	var scores brier.Accumulator
	if err := f.Score(t.Context(), &scores, 0, rows, replaced); err != nil {
		t.Fatal(err)
	}
	c.CompareScores(t, scores.Result(1), rows*(tokens-4))
}
