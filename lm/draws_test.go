package lm_test

import (
	"testing"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// TestFurtherDrawsDiffer: further patches of other rounds, other chunks and other batches are independent of each other.
func TestFurtherDrawsDiffer(t *testing.T) {
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
	c.PatchSize, ae.PatchSize, c.InitializerRange, ae.InitializerRange = 2, 2, .4, .4
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(1)
	testkit.Perturb(m.Params, 2, .4)
	ev := m.Evaluation(1, 12, 2)
	backbone.Outputs(ev.Graph, ev.Caches)
	f := lm.NewFurther(e, m, eval.ExtentOf(2, 12, false), ev, e.Compile(ev.Graph, cpu.Inference))
	testkit.DrawsDiffer(t, c.HiddenSize, f.Draws)
}
