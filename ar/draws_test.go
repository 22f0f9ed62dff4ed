package ar_test

import (
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// TestFurtherDrawsDiffer: further tokens of other rounds, other chunks and other batches are independent of each other.
func TestFurtherDrawsDiffer(t *testing.T) {
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	m := ar.New(testkit.TinyAR(), nn.NewParams())
	m.Initialize(1)
	ev := m.Evaluation(1, 12, 2)
	f := ar.NewFurther(e, m, 12, ev, e.Compile(ev.Graph, cpu.Inference))
	testkit.DrawsDiffer(t, m.Config.HiddenSize, f.Draws)
}
