package brier

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calm-go/calm/checkpoint"
)

// TestGoldenBrierArrays compares the two-sample estimator with the reference's
// on its recorded predictions, in every case of that kind and every set in it.
// testdata/golden is a copy of one case.
func TestGoldenBrierArrays(t *testing.T) {
	root := os.Getenv("CALM_GOLDEN")
	if root == "" {
		root = "../../../shared/golden"
	}
	for _, root := range []string{"testdata/golden", root} {
		t.Run(root, func(t *testing.T) {
			dirs := goldenCases(t, root, "brier_arrays")
			if len(dirs) == 0 {
				t.Skipf("no brier_arrays in %s (set CALM_GOLDEN)", root)
			}
			for _, dir := range dirs {
				compareSets(t, dir)
			}
		})
	}
}

func compareSets(t *testing.T, dir string) {
	f, err := checkpoint.Open(filepath.Join(dir, "case.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sets := 0
	for _, name := range f.Names() {
		if set, ok := strings.CutSuffix(strings.TrimPrefix(name, "in."), ".targets"); ok {
			sets++
			t.Run(filepath.Base(dir)+"/"+set, func(t *testing.T) { compareSet(t, f, set) })
		}
	}
	if sets == 0 {
		t.Errorf("%s holds no sets", dir)
	}
}

// compareSet scores a set's rows as blocks: [B, positions, K].
func compareSet(t *testing.T, f *checkpoint.File, set string) {
	first, second := ids(t, f, "in."+set+".predictions_1"), ids(t, f, "in."+set+".predictions_2")
	targets := ids(t, f, "in."+set+".targets")
	info, _ := f.Info("in." + set + ".targets")
	blocks, positions, patch := info.Shape[0], info.Shape[1], info.Shape[2]
	e, err := NewEstimator(2, patch)
	if err != nil {
		t.Fatal(err)
	}
	var a Accumulator
	for at := 0; at < len(targets); at += patch {
		samples := append(first[at:at+patch:at+patch], second[at:at+patch]...)
		e.Add(&a, at/patch/positions, samples, targets[at:at+patch])
	}
	r := a.Result(1)
	if r.Blocks != blocks || r.Positions != blocks*positions || r.Positions == 0 {
		t.Errorf("%d positions in %d blocks, want %v", r.Positions, r.Blocks, info.Shape)
	}

	want, wantLM := floats(t, f, "out."+set+".brier"), floats(t, f, "out."+set+".brier_lm")[0]
	scale := 0.0
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	var got Score
	for n, w := range want {
		got[n] = r.Brier[n] / 100
		if math.Abs(got[n]-w) > max(1e-5*scale, 1e-7) {
			t.Errorf("Brier-%d %v, want %v", n+1, got[n], w)
		}
	}
	if lm := got.ReferenceLM(); math.Abs(lm-wantLM) > max(1e-5*wantLM, 1e-7) {
		t.Errorf("BrierLM by the reference's rule %v, want %v", lm, wantLM)
	}
	if lm, ok := got.LM(); ok && math.Abs(lm/100-wantLM) > 1e-5*wantLM {
		t.Errorf("BrierLM %v, want 100 * %v", lm, wantLM)
	}
}

// goldenCases lists the directories of one kind.
func goldenCases(t *testing.T, root, kind string) (dirs []string) {
	files, err := filepath.Glob(filepath.Join(root, "*", "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var settings struct{ Kind string }
		if err := json.Unmarshal(text, &settings); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if settings.Kind == kind {
			dirs = append(dirs, filepath.Dir(file))
		}
	}
	return dirs
}

func ids(t *testing.T, f *checkpoint.File, name string) []int32 {
	t.Helper()
	wide, err := f.Int64s(name)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]int32, len(wide))
	for i, v := range wide {
		out[i] = int32(v)
	}
	return out
}

func floats(t *testing.T, f *checkpoint.File, name string) []float64 {
	t.Helper()
	out, err := f.Float64s(name)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
