package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// stateFormat is the version of state.json.
const stateFormat = 1

// stateJSON is the content of state.json. CRC32C is the checksum of its compact JSON with an empty CRC32C.
type stateJSON struct {
	Format int                `json:"format"`
	Step   int                `json:"step"`
	Files  map[string]fileSum `json:"files"`
	// Run has the CRC-32C of the guarded files of the run directory: that at the time of the checkpoint, and those accepted since.
	// Older checkpoints have none.
	Run     map[string][]string `json:"run,omitzero"`
	Trainer jsontext.Value      `json:"trainer"`
	CRC32C  string              `json:"crc32c"`
}

type fileSum struct {
	Bytes  int64  `json:"bytes"`
	CRC32C string `json:"crc32c"`
}

func (s stateJSON) sum() (string, error) {
	s.CRC32C = ""
	data, err := json.Marshal(s, json.Deterministic(true))
	if err != nil {
		return "", err
	}
	return sumOf(data), nil
}

func encodeState(step int, files map[string]fileSum, run map[string][]string, trainer any) ([]byte, error) {
	own, err := json.Marshal(trainer, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("the trainer's state: %w", err)
	}
	return stateJSON{Format: stateFormat, Step: step, Files: files, Run: run, Trainer: own}.encode()
}

// encode returns the content of state.json, with its checksum.
func (s stateJSON) encode() (data []byte, err error) {
	if s.CRC32C, err = s.sum(); err != nil {
		return nil, err
	}
	data, err = json.Marshal(s, json.Deterministic(true), jsontext.WithIndent("  "))
	return append(data, '\n'), err
}

// Saved is an open checkpoint. It must be closed.
type Saved struct {
	Step             int      // steps made at the checkpoint
	Model, Optimizer *File    // model.safetensors and optimizer.safetensors
	Warnings         []string // a line for each newer checkpoint that is damaged

	path    string // of state.json
	trainer jsontext.Value
}

// Trainer decodes the trainer's state into the struct that into points to. Unknown and repeated keys are errors.
func (s *Saved) Trainer(into any) error {
	if err := json.Unmarshal(s.trainer, into, json.RejectUnknownMembers(true)); err != nil {
		return damaged(s.path, "the trainer's state: %w", err)
	}
	return nil
}

// Close closes the files.
func (s *Saved) Close() error { return errors.Join(s.Model.Close(), s.Optimizer.Close()) }

// Latest opens the newest checkpoint with right checksums. Its Warnings list newer ones that are damaged. The error is
// ErrNoCheckpoint if the run has no checkpoint; if all are damaged, it is another error. On a locked run, damaged checkpoints are
// renamed (state/step-N.damaged), and model.safetensors becomes that of the checkpoint.
func (r *Run) Latest() (*Saved, error) {
	steps, err := r.Steps()
	if err != nil {
		return nil, err
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("%s: %w", r.Dir, ErrNoCheckpoint)
	}
	var bad []error
	for i := len(steps) - 1; i >= 0; i-- {
		s, err := openSaved(r.stepDir(steps[i]), steps[i])
		if err == nil {
			return s, r.settle(s, steps[i+1:], bad)
		}
		if _, ok := errors.AsType[*DamagedError](err); !ok {
			return nil, fmt.Errorf("read the checkpoint of step %d: %w", steps[i], err)
		}
		bad = append(bad, err)
	}
	return nil, fmt.Errorf("no checkpoint of %s can be read: %w", r.Dir, errors.Join(bad...))
}

// settle makes a locked run consistent with the checkpoint that was found.
func (r *Run) settle(s *Saved, skipped []int, bad []error) (err error) {
	for _, e := range bad {
		s.Warnings = append(s.Warnings, fmt.Sprintf("going back to the checkpoint of step %d: %v", s.Step, e))
	}
	if r.lock == nil {
		return nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("resume %s: %w", r.Dir, err), s.Close())
		}
	}()
	for _, step := range skipped {
		aside := r.stepDir(step) + damagedSuffix
		if err := r.disk.RemoveAll(aside); err != nil {
			return err
		}
		if err := r.disk.Rename(r.stepDir(step), aside); err != nil {
			return err
		}
	}
	if sameModel(r.Path(ModelFile), s.Model) {
		return nil
	}
	return r.publish(s.Step)
}

// sameModel reports whether the file at path is the model or a copy of it.
func sameModel(path string, model *File) bool {
	a, errA := os.Stat(path)
	b, errB := os.Stat(model.path)
	if errA == nil && errB == nil && os.SameFile(a, b) {
		return true
	}
	f, err := Open(path)
	if err != nil {
		return false
	}
	same := bytes.Equal(f.all, model.all)
	return f.Close() == nil && same
}

// Trainer is [Saved.Trainer] of the newest checkpoint whose state.json is undamaged. It does not read the weights. The error is
// ErrNoCheckpoint if the run has no checkpoint.
func (r *Run) Trainer(into any) error {
	steps, err := r.Steps()
	if err == nil && len(steps) == 0 {
		err = fmt.Errorf("%s: %w", r.Dir, ErrNoCheckpoint)
	}
	for _, step := range slices.Backward(steps) {
		var state stateJSON
		if state, err = readState(r.stepDir(step), step); err == nil {
			return (&Saved{path: filepath.Join(r.stepDir(step), stateFile), trainer: state.Trainer}).Trainer(into)
		}
	}
	return err
}

// readState reads and verifies state.json.
func readState(dir string, step int) (state stateJSON, err error) {
	path := filepath.Join(dir, stateFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return state, missing(path, err)
	}
	if err := json.Unmarshal(data, &state, json.RejectUnknownMembers(true)); err != nil {
		return state, damaged(path, "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	switch sum, err := state.sum(); {
	case err != nil:
		return state, damaged(path, "%w", err)
	case sum != state.CRC32C:
		return state, damaged(path, "its checksum is %s, it says %q: it was altered after calm wrote it", sum, state.CRC32C)
	case state.Format != stateFormat:
		return state, fmt.Errorf("%s: format %d; this calm reads %d", path, state.Format, stateFormat)
	case state.Step != step:
		return state, damaged(path, "it is of step %d", state.Step)
	}
	return state, nil
}

// openSaved opens a checkpoint and verifies it; all that is wrong with its content is a *DamagedError.
func openSaved(dir string, step int) (s *Saved, err error) {
	state, err := readState(dir, step)
	if err != nil {
		return nil, err
	}
	s = &Saved{Step: step, path: filepath.Join(dir, stateFile), trainer: state.Trainer}
	if s.Model, err = openSummed(dir, ModelFile, state.Files); err != nil {
		return nil, err
	}
	if s.Optimizer, err = openSummed(dir, optimizerFile, state.Files); err != nil {
		return nil, errors.Join(err, s.Model.Close())
	}
	return s, nil
}

// openSummed opens one file of a checkpoint and compares it with the size and the checksum in state.json.
func openSummed(dir, name string, files map[string]fileSum) (*File, error) {
	path := filepath.Join(dir, name)
	want, ok := files[name]
	if !ok {
		return nil, damaged(filepath.Join(dir, stateFile), "it does not list %s", name)
	}
	if info, err := os.Stat(path); err != nil {
		return nil, missing(path, err)
	} else if info.Size() != want.Bytes {
		return nil, damaged(path, "it has %d bytes, %s says %d", info.Size(), stateFile, want.Bytes)
	}
	f, err := Open(path)
	if err != nil {
		return nil, missing(path, err)
	}
	if sum := sumOf(f.all); sum != want.CRC32C {
		return nil, errors.Join(damaged(path, "its checksum is %s, %s says %s: it was altered after calm wrote it", sum, stateFile, want.CRC32C), f.Close())
	}
	return f, nil
}

// missing turns the error for a missing file into a *DamagedError. Other errors may be temporary, so they stay as they are.
func missing(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return damaged(path, "the file is missing")
	}
	return err
}
