package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// guarded lists the files of a run directory that have no checksum of their own and decide what the weights mean. Each checkpoint
// holds their checksums.
var guarded = []string{ConfigFile, TokenizerFile, AutoencoderIn + "/" + ConfigFile}

// AlteredError is returned for a file of a run that differs from what calm wrote: somebody edited it, or it is damaged.
type AlteredError struct {
	Dir  string // the run directory
	Path string // the file
}

// Error names the file, and says how to accept a change that was intended.
func (e *AlteredError) Error() string {
	return fmt.Sprintf("%s was changed after calm wrote it: put it back or, if you changed it on purpose, accept it with `calm train --resume %s --accept-config`", e.Path, e.Dir)
}

// Unaltered returns an *AlteredError if config.json, the tokenizer or the configuration of the autoencoder is not as calm wrote it.
// A run without checkpoints has no checksums to compare, such as an imported run, and neither has one of older versions of calm.
func (r *Run) Unaltered() error {
	err := r.unaltered()
	if _, ok := errors.AsType[*AlteredError](err); ok {
		err = r.unaltered() // a training process may have replaced the file and the checkpoint meanwhile
	}
	return err
}

func (r *Run) unaltered() error {
	steps, err := r.Steps()
	if err != nil {
		return err
	}
	for _, step := range slices.Backward(steps) {
		state, err := readState(r.stepDir(step), step)
		if err != nil {
			continue // whoever needs the checkpoint reports this
		}
		present, err := r.present()
		if err != nil {
			return err
		}
		for _, name := range guarded {
			if sums, ok := state.Run[name]; ok && !slices.Contains(sums, present[name]) {
				return &AlteredError{Dir: r.Dir, Path: r.Path(filepath.FromSlash(name))}
			}
		}
		return nil
	}
	return nil
}

// present returns the checksums of the guarded files, as they are on the disk. A missing file has none.
func (r *Run) present() (map[string]string, error) {
	sums := map[string]string{}
	for _, name := range guarded {
		data, err := os.ReadFile(r.Path(filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		sums[name] = sumOf(data)
	}
	return sums, nil
}

// accepted returns the checksums of the guarded files for a new checkpoint: those that this process wrote or found. A file that is
// changed during the training is noticed at the next opening.
func (r *Run) accepted() map[string][]string {
	run := map[string][]string{}
	for name, sum := range r.sums {
		run[name] = []string{sum}
	}
	return run
}

// AcceptFiles makes all checkpoints accept the guarded files as they are now.
func (r *Run) AcceptFiles() (err error) {
	r.mustWrite()
	if r.sums, err = r.present(); err != nil {
		return err
	}
	return r.accept(r.sums)
}

// accept adds sums of guarded files to all checkpoints that hold such sums. A damaged checkpoint stays as it is.
func (r *Run) accept(sums map[string]string) error {
	steps, err := r.Steps()
	if err != nil {
		return err
	}
	for _, step := range steps {
		state, err := readState(r.stepDir(step), step)
		if err != nil || state.Run == nil {
			continue
		}
		changed := false
		for name, sum := range sums {
			if !slices.Contains(state.Run[name], sum) {
				state.Run[name], changed = append(state.Run[name], sum), true
			}
		}
		if !changed {
			continue
		}
		data, err := state.encode()
		if err == nil {
			err = r.disk.WriteFile(filepath.Join(r.stepDir(step), stateFile), func(w io.Writer) error {
				_, err := w.Write(data)
				return err
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
