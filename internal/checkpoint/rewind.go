package checkpoint

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/calm-go/calm/internal/atomicfile"
)

// At opens the checkpoint of a step. The error is ErrNoCheckpoint where there is none, and a *DamagedError where it is
// incomplete or altered.
func (r *Run) At(step int) (*Saved, error) {
	steps, err := r.Steps()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(steps, step) {
		return nil, fmt.Errorf("%s has checkpoints of the steps %v: %w of step %d", r.Dir, steps, ErrNoCheckpoint, step)
	}
	return openSaved(r.stepDir(step), step)
}

// Rewind removes the checkpoints after a step; all of them for -1. Training then continues from the newest one left.
func (r *Run) Rewind(step int) error {
	r.mustWrite()
	steps, err := r.Steps()
	if err != nil {
		return err
	}
	left := len(steps)
	for ; left > 0 && steps[left-1] > step; left-- {
		if err := r.discard(steps[left-1]); err != nil {
			return err
		}
	}
	switch {
	case left == len(steps):
		return nil
	case left > 0:
		return r.publish(steps[left-1])
	}
	return r.disk.RemoveAll(r.Path(ModelFile))
}

// discard removes a checkpoint. It is renamed to a hidden name first, so that a kill leaves no incomplete checkpoint.
func (r *Run) discard(step int) error {
	temp := filepath.Join(r.Path(stateDir), "."+stepPrefix+strconv.Itoa(step)+oldSuffix+atomicfile.Suffix)
	if err := r.disk.Rename(r.stepDir(step), temp); err != nil {
		return err
	}
	return r.disk.RemoveAll(temp)
}
