package ar_test

import (
	"testing"

	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

func TestGoldenAR(t *testing.T) {
	for _, c := range testkit.Golden(t, "ar") {
		t.Run(c.Name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
				goldenTraining(t, c, e)
				goldenSession(t, c, e)
			})
		})
	}
}

func goldenTraining(t *testing.T, c testkit.Case, e *cpu.Engine) {
	m := c.AR(t)
	shape := c.Shape(t, "in.input_ids")
	tr := m.Training(shape[0], shape[1])
	logits := tr.Graph.Linear(tr.Hidden, tr.Graph.Param(m.Params.Get("lm_head.weight")), nil, nn.LinearOptions{})
	tr.Graph.Output(tr.Hidden, logits)
	p := e.Compile(tr.Graph, cpu.Training)
	if err := tr.Fill(p, c.Ints(t, "in.input_ids")); err != nil {
		t.Fatal(err)
	}
	if err := p.Step(false); err != nil {
		t.Fatal(err)
	}
	for name, tensor := range map[string]*nn.Tensor{"out.hidden": tr.Hidden, "out.logits": logits, "out.loss": tr.Tokens.Loss} {
		testkit.Compare(t, name, p.Floats(tensor), c.Floats(t, name), testkit.ForwardTolerance)
	}
	c.CompareGradients(t, p, m.Params, testkit.GradientTolerance)
}

// goldenSession feeds the same tokens through a cache, in a prompt and one by one, and expects the same logits.
func goldenSession(t *testing.T, c testkit.Case, e *cpu.Engine) {
	m := c.AR(t)
	shape, ids, want := c.Shape(t, "in.input_ids"), c.Ints(t, "in.input_ids"), c.Floats(t, "out.logits")
	rows, tokens, v := shape[0], shape[1], m.Config.VocabSize
	s := m.NewSession(e, rows, tokens)
	prompt := tokens / 2
	for at, n := 0, prompt; at < tokens; at, n = at+n, 1 {
		var next []int32
		var logits []float32
		for b := range rows {
			next = append(next, ids[b*tokens+at:][:n]...)
			logits = append(logits, want[(b*tokens+at+n-1)*v:][:v]...)
		}
		if err := s.Append(next); err != nil {
			t.Fatal(err)
		}
		got, err := s.Logits()
		if err != nil {
			t.Fatal(err)
		}
		testkit.Compare(t, "out.logits by a session", got, logits, testkit.ForwardTolerance)
	}
	if s.Len() != tokens {
		t.Errorf("the session has %d tokens, want %d", s.Len(), tokens)
	}
}
