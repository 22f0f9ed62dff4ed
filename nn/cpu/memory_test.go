package cpu_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
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

// TestMemoryWithinLimits: a process whose resource limits are lower than the machine's memory can have only what they leave.
func TestMemoryWithinLimits(t *testing.T) {
	const name = "CALM_TEST_MEMORY"
	if os.Getenv(name) != "" {
		fmt.Println("memory:", int64(cpu.Memory()))
		return
	}
	bash, err := exec.LookPath("bash")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("no ulimit")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flag        string
		least, most int64 // bytes
	}{{"-v", 1 << 20, 3 << 30}, {"-d", 3 << 30, 3 << 30}} {
		cmd := exec.Command(bash, "-c", "ulimit "+c.flag+" 3145728 && exec \"$0\" -test.run '^TestMemoryWithinLimits$'", self)
		cmd.Env = append(os.Environ(), name+"=1")
		out, err := cmd.CombinedOutput()
		_, after, _ := strings.Cut(string(out), "memory: ")
		line, _, _ := strings.Cut(after, "\n")
		got, numErr := strconv.ParseInt(line, 10, 64)
		if err != nil || numErr != nil || got > c.most || got < c.least {
			t.Errorf("ulimit %s: %d bytes (%v)\n%s", c.flag, got, err, out)
		}
	}
}
