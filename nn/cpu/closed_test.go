package cpu_test

import (
	"errors"
	"testing"

	"github.com/calm-go/calm/internal/nntest"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// TestClosed: a program whose engine was closed returns ErrClosed. It neither hangs nor returns old values as a result.
func TestClosed(t *testing.T) {
	nntest.Each(t, nntest.All, func(t *testing.T, _ nntest.Case, g *nn.Graph, in nntest.Inputs) {
		for _, threads := range []int{1, 2} {
			e := cpu.New(cpu.Options{Threads: threads})
			training := len(g.Terms()) > 0
			p := compile(e, g, in, training)
			if err := p.Forward(); err != nil {
				t.Fatal(err)
			}
			e.Close()
			e.Close()
			if err := p.Forward(); !errors.Is(err, cpu.ErrClosed) {
				t.Errorf("Forward with %d threads: %v", threads, err)
			}
			if training {
				if err := p.Step(false); !errors.Is(err, cpu.ErrClosed) {
					t.Errorf("Step with %d threads: %v", threads, err)
				}
			}
		}
	})
}
