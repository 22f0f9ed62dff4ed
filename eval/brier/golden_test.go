package brier_test

import (
	"math"
	"strings"
	"testing"

	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/testkit"
)

// TestGoldenBrierArrays compares the two-sample estimator with the reference's,
// on the reference's recorded predictions.
func TestGoldenBrierArrays(t *testing.T) {
	for _, c := range testkit.Golden(t, "brier_arrays") {
		sets := 0
		for _, name := range c.Names("in.") {
			if set, ok := strings.CutSuffix(strings.TrimPrefix(name, "in."), ".targets"); ok {
				sets++
				t.Run(c.Name+"/"+set, func(t *testing.T) { compareSet(t, c, set) })
			}
		}
		if sets == 0 {
			t.Errorf("%s holds no sets", c.Name)
		}
	}
}

// compareSet scores a set's rows as blocks: [B, positions, K].
func compareSet(t *testing.T, c testkit.Case, set string) {
	first, second := c.Ints(t, "in."+set+".predictions_1"), c.Ints(t, "in."+set+".predictions_2")
	targets, shape := c.Ints(t, "in."+set+".targets"), c.Shape(t, "in."+set+".targets")
	blocks, positions, patch := shape[0], shape[1], shape[2]
	e, err := brier.NewEstimator(2, patch)
	if err != nil {
		t.Fatal(err)
	}
	var a brier.Accumulator
	for at := 0; at < len(targets); at += patch {
		samples := append(first[at:at+patch:at+patch], second[at:at+patch]...)
		e.Add(&a, at/patch/positions, samples, targets[at:at+patch])
	}
	r := a.Result(1)
	if r.Blocks != blocks || r.Positions != blocks*positions || r.Positions == 0 {
		t.Errorf("%d positions in %d blocks, want %v", r.Positions, r.Blocks, shape)
	}

	want, wantLM := c.Float64s(t, "out."+set+".brier"), c.Float64s(t, "out."+set+".brier_lm")[0]
	scale := 0.0
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	var got brier.Score
	for n, w := range want {
		got[n] = r.Brier[n] / 100
		if math.Abs(got[n]-w) > max(1e-5*scale, 1e-7) {
			t.Errorf("Brier-%d %v, want %v", n+1, got[n], w)
		}
	}
	if lm := testkit.ReferenceBrierLM(got); math.Abs(lm-wantLM) > max(1e-5*wantLM, 1e-7) {
		t.Errorf("BrierLM by the reference's rule %v, want %v", lm, wantLM)
	}
	if lm, ok := got.LM(); ok && math.Abs(lm/100-wantLM) > 1e-5*wantLM {
		t.Errorf("BrierLM %v, want 100 * %v", lm, wantLM)
	}
}
