package checkpoint

import (
	"errors"
	"os"
	"slices"
	"testing"
)

// TestRewind goes back to every step, and to the beginning. Later checkpoints are removed, and training can continue.
func TestRewind(t *testing.T) {
	for to, want := range map[int][]int{-1: nil, 0: nil, 1: {1}, 2: {1, 2}, 3: {1, 2, 3}, 9: {1, 2, 3}} {
		r := newRun(t)
		r.Keep = 3
		for _, step := range []int{1, 2, 3} {
			if err := r.Save(step, stateAt(step)); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Rewind(to); err != nil {
			t.Fatal(err)
		}
		if steps, err := r.Steps(); err != nil || !slices.Equal(steps, want) {
			t.Errorf("back to %d: checkpoints %v, %v, want %v", to, steps, err, want)
		}
		s, err := r.Latest()
		if len(want) == 0 {
			if _, gone := os.Stat(r.Path(ModelFile)); !errors.Is(err, ErrNoCheckpoint) || gone == nil {
				t.Errorf("back to %d: %v, and the weights are there: %t", to, err, gone == nil)
			}
		} else if err != nil || s.Step != want[len(want)-1] || len(s.Warnings) > 0 || !sameModel(r.Path(ModelFile), s.Model) {
			t.Errorf("back to %d: %+v, %v", to, s, err)
		} else {
			checkSaved(t, s)
			s.Close()
		}
		if err := r.Save(4, stateAt(4)); err != nil {
			t.Error(err)
		}
	}
}

func TestAt(t *testing.T) {
	r := newRun(t, 1, 2)
	for _, step := range []int{1, 2} {
		s, err := r.At(step)
		if err != nil || s.Step != step {
			t.Fatalf("%+v, %v", s, err)
		}
		checkSaved(t, s)
		s.Close()
	}
	if _, err := r.At(3); !errors.Is(err, ErrNoCheckpoint) {
		t.Error(err)
	}
}
