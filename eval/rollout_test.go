package eval_test

import (
	"context"
	"errors"
	"testing"

	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// TestExtent: a block has all windows that fit, or with the reference's rule one fewer.
func TestExtent(t *testing.T) {
	for _, c := range []struct {
		patch, tokens, further, all, reference int
	}{
		{1, 20, 3, 16, 15}, {2, 28, 1, 12, 11}, {3, 48, 1, 14, 13}, {4, 48, 0, 11, 11}, {8, 48, 0, 5, 5},
		{1, 5, 3, 1, 0}, {2, 6, 1, 1, 0}, {3, 9, 1, 1, 0}, {4, 8, 0, 1, 1},
	} {
		for windows, reference := range map[int]bool{c.all: false, c.reference: true} {
			x := eval.ExtentOf(c.patch, c.tokens, reference && c.all != c.reference)
			if x.Windows != windows || x.Further != c.further {
				t.Errorf("patches of %d in %d tokens: %+v, want %d windows, %d further", c.patch, c.tokens, x, windows, c.further)
			}
		}
		if least := eval.LeastPatches(c.patch, false) * c.patch; eval.ExtentOf(c.patch, least, false).Windows != 1 {
			t.Errorf("patches of %d: %d tokens are not the fewest that have a window", c.patch, least)
		}
	}
}

// TestRolloutStops: a cancelled rollout makes no further round, and an error of a draw ends it.
func TestRolloutStops(t *testing.T) {
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	ps, g := nn.NewParams(), nn.NewGraph()
	m := backbone.New(backbone.Default(1, 8, 8, 2), ps, "")
	table := ps.Matrix("table", nn.Gaussian(1), 9, 8)
	ps.Initialize(1)
	embed := func(g *nn.Graph, ids *nn.Tensor) *nn.Tensor {
		return g.Reshape(g.Embedding(g.Param(table), ids, -1), ids.Dim(0), ids.Dim(1), 8)
	}
	hidden, caches := m.ForwardCaches(g, embed(g, g.Ints("ids", 1, 5)))
	g.Output(hidden)
	backbone.Outputs(g, caches)
	p := e.Compile(g, cpu.Inference)
	branches := m.NewBranches(e, embed, 1, 1, 5, backbone.MemoryOf(p, caches))
	r := eval.NewRollout(eval.ExtentOf(1, 6, false), branches, 1)
	begin := func() {
		r.Begin()
		for w := range 2 {
			r.Add(w, 0, []int32{5}, []int32{5})
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	begin()
	rounds := 0
	err := r.Run(ctx, func(round int, windows []int, hidden []float32) ([]int32, error) {
		rounds++
		cancel()
		return make([]int32, 2*len(hidden)/8), nil
	})
	if !errors.Is(err, context.Canceled) || rounds != 1 {
		t.Errorf("%d rounds, %v; want context.Canceled after one", rounds, err)
	}
	failed := errors.New("failed")
	begin()
	if err := r.Run(t.Context(), func(int, []int, []float32) ([]int32, error) { return nil, failed }); !errors.Is(err, failed) {
		t.Errorf("%v, want %v", err, failed)
	}
}
