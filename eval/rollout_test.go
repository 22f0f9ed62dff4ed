package eval

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// TestExtent: all windows that fit, or the reference's.
func TestExtent(t *testing.T) {
	for _, c := range []struct {
		patch, tokens, further, all, reference int
	}{
		{1, 20, 3, 16, 15}, {2, 28, 1, 12, 11}, {3, 48, 1, 14, 13}, {4, 48, 0, 11, 11}, {8, 48, 0, 5, 5},
		{1, 5, 3, 1, 0}, {2, 6, 1, 1, 0}, {3, 9, 1, 1, 0}, {4, 8, 0, 1, 1},
	} {
		for windows, reference := range map[int]bool{c.all: false, c.reference: true} {
			x := extentOf(c.patch, c.tokens, reference && c.all != c.reference)
			if x.windows != windows || x.further != c.further {
				t.Errorf("patches of %d in %d tokens: %+v, want %d windows, %d further", c.patch, c.tokens, x, windows, c.further)
			}
		}
		if least := (windowless(c.patch, false) + 1) * c.patch; extentOf(c.patch, least, false).windows != 1 {
			t.Errorf("patches of %d: %d tokens are not the fewest that have a window", c.patch, least)
		}
	}
}

// TestFurtherDrawsDiffer: further patches of other rounds, other chunks and other batches are independent of each other.
func TestFurtherDrawsDiffer(t *testing.T) {
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
	c.PatchSize, ae.PatchSize, c.InitializerRange, ae.InitializerRange = 2, 2, .4, .4
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(1)
	testkit.Perturb(m.Params, 2, .4)
	baseline := ar.New(testkit.TinyAR(), nn.NewParams())
	baseline.Params.Initialize(1)

	ev := m.Evaluation(1, 12, 2)
	backbone.Outputs(ev.Graph, ev.Caches)
	lmDraws := newFurtherLM(e, m, extentOf(2, 12, false), ev, e.Compile(ev.Graph, cpu.Inference))
	av := baseline.Evaluation(1, 12, 2)
	arDraws := newFurtherAR(e, baseline, 12, av, e.Compile(av.Graph, cpu.Inference))
	for name, batch := range map[string]func(seed uint64, batch int) draw{"lm": lmDraws.draws, "ar": arDraws.draws} {
		hidden := make([]float32, 40*24)
		var all [][]int32
		for _, d := range []draw{batch(1, 0), batch(1, 1), batch(2, 0)} {
			for range 2 {
				tokens, err := d(1, nil, hidden)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, slices.Clone(tokens))
			}
		}
		for i, a := range all {
			for _, b := range all[:i] {
				if slices.Equal(a, b) {
					t.Errorf("%s: draws number %d are those of another number", name, i)
				}
			}
		}
		again, err := batch(1, 1)(1, nil, hidden)
		if err != nil || !slices.Equal(again, all[2]) {
			t.Errorf("%s: the same batch draws something else, %v", name, err)
		}
	}
}

// TestRolloutStops: a cancelled evaluation makes no further round, and a failed draw ends it.
func TestRolloutStops(t *testing.T) {
	e := cpu.New(cpu.Options{Threads: 1})
	defer e.Close()
	m := ar.New(testkit.TinyAR(), nn.NewParams())
	m.Params.Initialize(1)
	ev := m.Evaluation(1, 6, 2)
	p := e.Compile(ev.Graph, cpu.Inference)
	r := newRollout(extentOf(1, 6, false), m.NewBranches(e, ev, p), 1)
	begin := func() {
		r.begin()
		for w := range 2 {
			r.add(w, 0, []int32{5}, []int32{5})
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	begin()
	rounds := 0
	err := r.run(ctx, func(round int, windows []int, hidden []float32) ([]int32, error) {
		rounds++
		cancel()
		return make([]int32, 2*len(hidden)/m.Config.HiddenSize), nil
	})
	if !errors.Is(err, context.Canceled) || rounds != 1 {
		t.Errorf("%d rounds, %v; want context.Canceled after one", rounds, err)
	}
	failed := errors.New("failed")
	begin()
	if err := r.run(t.Context(), func(int, []int, []float32) ([]int32, error) { return nil, failed }); !errors.Is(err, failed) {
		t.Errorf("%v, want %v", err, failed)
	}
}
