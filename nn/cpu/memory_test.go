package cpu_test

import (
	"errors"
	"testing"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// TestCompileWithin: a program compiles in the memory that it says it takes, and in no byte less.
func TestCompileWithin(t *testing.T) {
	g, ps := nn.NewGraph(), nn.NewParams()
	table, ids := ps.Matrix("table", nn.Init{Std: 1}, 50, 16), g.Ints("ids", 64)
	head := ps.Matrix("head", nn.Init{Std: 1}, 50, 16)
	ps.Initialize(1)
	x := g.Embedding(g.Param(table), ids, -1)
	g.Loss(g.CrossEntropy(g.SwiGLU(x, x), g.Param(head), ids).Loss, 1)
	e := engine(t, kernel.Best(), 1)
	_, err := e.CompileWithin(g, cpu.Training, 100)
	short, ok := errors.AsType[*cpu.MemoryError](err)
	if !ok || short.Have != 100 {
		t.Fatalf("100 bytes: %v", err)
	}
	p := e.Compile(g, cpu.Training)
	need := float64(p.Bytes() + 4*2*50*16) // the gradients of two matrices of whole cache lines
	if _, err := e.CompileWithin(g, cpu.Training, need); err != nil {
		t.Errorf("%g bytes: %v", need, err)
	}
	if _, err := e.CompileWithin(g, cpu.Training, need-1); err == nil {
		t.Errorf("%g bytes are enough", need-1)
	}
}
