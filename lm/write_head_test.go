package lm_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
)

// TestFlowText: the text of a flow head follows from the options alone, whatever number of draws is made at once.
func TestFlowText(t *testing.T) {
	m := testkit.WithHead(head.FlowType)
	for _, temperature := range []float64{1, .5} {
		o := generate.Options{}
		o.Temperature, o.MaxTokens, o.Seed, o.Draws, o.Sampler = temperature, 24, 4, 100_000, generate.Exact
		want, err := testkit.NewWriting(t, engine(t, 1), m, o).Write("abc")
		if err != nil || len(want) == 0 {
			t.Fatalf("T = %v: %v, %v", temperature, want, err)
		}
		sized := testkit.NewWriting(t, engine(t, 2), resized{m}, o)
		if got, err := sized.Write("abc"); err != nil || !slices.Equal(got, want) {
			t.Errorf("T = %v with other numbers of draws at once: %v, %v; want %v", temperature, got, err, want)
		}
		o.Seed++
		if got, err := testkit.NewWriting(t, engine(t, 1), m, o).Write("abc"); err != nil || slices.Equal(got, want) {
			t.Errorf("T = %v: another seed gives the same text, or %v", temperature, err)
		}
	}
}

// TestDiverged: an untrained diffusion head writes no text. The error is a *head.DivergedError, not a
// *generate.InputError.
func TestDiverged(t *testing.T) {
	g := testkit.NewWriting(t, engine(t, 1), testkit.WithHead(head.DiffusionType), generate.Options{})
	ids, err := g.Write("abc")
	diverged, ok := errors.AsType[*head.DivergedError](err)
	if _, input := errors.AsType[*generate.InputError](err); !ok || input || len(ids) > 0 || g.Result.Stop != generate.StopError {
		t.Fatalf("%v, %v, %+v", ids, err, g.Result)
	}
	if diverged.Head != head.DiffusionType || diverged.Steps != 3 || !slices.Contains(diverged.Draws, true) {
		t.Errorf("%+v", diverged)
	}
}
