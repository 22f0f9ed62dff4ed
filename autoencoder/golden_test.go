package autoencoder_test

import (
	"testing"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

func TestGoldenAutoencoder(t *testing.T) {
	for _, c := range testkit.Golden(t, "autoencoder") {
		t.Run(c.Name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
				m := c.Autoencoder(t)
				goldenMean(t, c, m, e)
				goldenEvaluation(t, c, m, e)
				goldenTraining(t, c, m, e)
			})
		})
	}
}

// logits adds all logits of hidden to g as an output. Only tests need them in memory.
func logits(g *nn.Graph, m *autoencoder.Model, hidden *nn.Tensor) *nn.Tensor {
	y := g.Linear(hidden, g.Param(m.Table()), nil, nn.LinearOptions{})
	g.Output(y)
	return y
}

// goldenMean checks the encoder, and the decoder on the posterior's mean.
func goldenMean(t *testing.T, c testkit.Case, m *autoencoder.Model, e *cpu.Engine) {
	ids := c.Ints(t, "in.input_ids")
	g := nn.NewGraph()
	in := g.Ints("ids", len(ids)/m.Config.PatchSize, m.Config.PatchSize)
	q := m.Encode(g, in)
	g.Output(q.Mean, q.LogStd)
	l := logits(g, m, m.Decode(g, q.Mean))
	p := e.Compile(g, cpu.Inference)
	copy(p.Ints(in), ids)
	run(t, p.Forward())
	forward(t, c, p, map[string]*nn.Tensor{"out.mean": q.Mean, "out.log_std": q.LogStd, "out.mean.logits": l})
}

func goldenEvaluation(t *testing.T, c testkit.Case, m *autoencoder.Model, e *cpu.Engine) {
	ids := c.Ints(t, "in.input_ids")
	ev := m.Evaluation(len(ids) / m.Config.PatchSize)
	g := ev.Graph
	l := logits(g, m, ev.Hidden)
	tokens := m.Tokens(g, ev.Latent)
	g.Output(ev.Latent, tokens)
	p := e.Compile(g, cpu.Inference)
	copy(p.Ints(ev.IDs), ids)
	p.Feed(ev.Eps, c.Floats(t, "in.eval.eps"))
	run(t, p.Forward())
	forward(t, c, p, map[string]*nn.Tensor{"out.eval.z": ev.Latent, "out.eval.logits": l, "out.eval.loss": ev.Tokens.Loss})
	want := c.Ints(t, "out.eval.tokens")
	testkit.CompareInts(t, "out.eval.tokens", p.Ints(tokens), want)
	hits := 0
	for i := range want {
		if want[i] == ids[i] {
			hits++
		}
	}
	if got := p.Scalar(ev.Tokens.Hits); got != float32(hits) {
		t.Errorf("%v hits, the reference's tokens have %d", got, hits)
	}
}

func goldenTraining(t *testing.T, c testkit.Case, m *autoencoder.Model, e *cpu.Engine) {
	ids := c.Ints(t, "in.input_ids")
	tr := m.Training(len(ids) / m.Config.PatchSize)
	g := tr.Graph
	l := logits(g, m, tr.Hidden)
	g.Output(tr.Posterior.Mean, tr.Posterior.LogStd, tr.Latent)
	p := e.Compile(g, cpu.Training)
	copy(p.Ints(tr.IDs), ids)
	keep := c.Ints(t, "in.train.token_keep")
	mask := make([]float32, len(keep))
	for i, k := range keep {
		mask[i] = float32(k)
	}
	p.Feed(tr.Keep, mask)
	p.Feed(tr.Eps, c.Floats(t, "in.train.eps"))
	p.Feed(tr.Dropout, c.Floats(t, "in.train.dropout"))
	run(t, p.Step(false))
	forward(t, c, p, map[string]*nn.Tensor{
		"out.train.mean": tr.Posterior.Mean, "out.train.log_std": tr.Posterior.LogStd, "out.train.z": tr.Latent,
		"out.train.logits": l, "out.train.ce": tr.Tokens.Loss, "out.train.kl": tr.KL,
	})
	testkit.Compare(t, "out.train.loss", []float32{float32(p.Loss())}, c.Floats(t, "out.train.loss"), testkit.ForwardTolerance)
	c.CompareGradients(t, p, m.Params, testkit.GradientTolerance)
}

func forward(t *testing.T, c testkit.Case, p *cpu.Program, outputs map[string]*nn.Tensor) {
	t.Helper()
	for name, tensor := range outputs {
		testkit.Compare(t, name, p.Floats(tensor), c.Floats(t, name), testkit.ForwardTolerance)
	}
}

func run(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
