package testkit

import (
	"slices"
	"testing"

	"github.com/calm-go/calm/eval"
)

// DrawsDiffer checks that draws are the same for the same seed and batch, and differ between seeds, batches and calls. width is
// the width of a hidden state.
func DrawsDiffer(t *testing.T, width int, batch func(seed uint64, batch int) eval.Draw) {
	t.Helper()
	hidden := make([]float32, 40*width)
	var all [][]int32
	for _, d := range []eval.Draw{batch(1, 0), batch(1, 1), batch(2, 0)} {
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
				t.Errorf("draws number %d equal earlier ones", i)
			}
		}
	}
	again, err := batch(1, 1)(1, nil, hidden)
	if err != nil || !slices.Equal(again, all[2]) {
		t.Errorf("the same batch has other draws, %v", err)
	}
}
