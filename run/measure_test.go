package run_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
)

// TestMeasuresScores checks that training measures BrierLM, for a patch size of 2 and for the baseline. Evaluate measures fewer
// positions with ReferenceWindows.
func TestMeasuresScores(t *testing.T) {
	dir, text := t.TempDir(), tinyText(t)
	k2 := []string{"patch_size=2"}
	aeDir, lmDir, arDir := filepath.Join(dir, "ae"), filepath.Join(dir, "lm"), filepath.Join(dir, "ar")
	trainTo(t, 1, 0, run.Options{Kind: run.AE, Set: slices.Concat(tinyAE, k2), Data: []string{text}, Steps: 2, Out: aeDir})
	trainTo(t, 1, 0, run.Options{Kind: run.LM, Set: slices.Concat(tinyLM, k2, []string{"latent_size=8"}), AE: aeDir, Data: []string{text}, Steps: 2, Out: lmDir})
	trainTo(t, 1, 0, run.Options{Kind: run.AR, Set: tinyAR, Data: []string{text}, Steps: 2, Out: arDir})
	for _, out := range []string{lmDir, arDir} {
		measured := 0
		for _, line := range metricsOf(t, out) {
			if !strings.Contains(line, "kind:measured") {
				continue
			}
			measured++
			for _, name := range []string{"brier_lm:", "brier_1:", "brier_4:"} {
				if !strings.Contains(line, name) {
					t.Errorf("%s: no %s in %s", out, name, line)
				}
			}
		}
		if measured == 0 {
			t.Errorf("%s: nothing was measured", out)
		}
	}
	m, err := run.Open(lmDir)
	if err != nil {
		t.Fatal(err)
	}
	var positions []int
	for _, reference := range []bool{false, true} {
		var o run.Evaluation
		o.ReferenceWindows, o.MaxBlocks = reference, 3
		r, err := m.Evaluate(t.Context(), engine(t, 1), o)
		if err != nil {
			t.Fatal(err)
		}
		positions = append(positions, r.Measured.(lm.Measurement).Positions)
	}
	if want := []int{3 * 14, 3 * 13}; !slices.Equal(positions, want) { // blocks of 16 patches
		t.Errorf("%v positions, want %v", positions, want)
	}
}
