package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/calm-go/calm/internal/atomicfile"
)

// State is the content of a checkpoint.
type State struct {
	Model     []Tensor          // the weights
	Optimizer []Tensor          // other tensors: the optimizer's moments
	Metadata  map[string]string // metadata of model.safetensors
	Trainer   any               // the trainer's other state: position, seed, decisions; encoded as JSON
}

const (
	stepPrefix    = "step-"
	oldSuffix     = ".old"     // of a checkpoint while a new one of the same step replaces it
	damagedSuffix = ".damaged" // of a checkpoint that could not be read
)

func (r *Run) stepDir(step int) string { return r.Path(stateDir, stepPrefix+strconv.Itoa(step)) }

// Steps lists the steps that have a checkpoint, ascending.
func (r *Run) Steps() ([]int, error) {
	entries, err := os.ReadDir(r.Path(stateDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var steps []int
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), stepPrefix)
		if n, err := strconv.Atoi(text); ok && err == nil && n >= 0 && strconv.Itoa(n) == text && e.IsDir() {
			steps = append(steps, n)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// Save commits a checkpoint, makes its weights the run's weights, and removes the oldest checkpoints (see Run.Keep). If it fails
// before the commit, earlier checkpoints are unchanged and nothing of the new one is left. If it fails after the commit, the
// error says so. step must be 0 or more.
func (r *Run) Save(step int, s State) error {
	r.mustWrite()
	if step < 0 {
		panic(fmt.Sprintf("checkpoint: save step %d", step))
	}
	var lost error
	if r.metrics != nil { // the metrics up to this step should be durable before the checkpoint is
		if lost = r.metrics.Sync(); lost != nil {
			lost = fmt.Errorf("metrics: %w", lost) // no reason to lose the steps too
		}
	}
	if err := r.commit(step, s); err != nil {
		return r.explain(step, errors.Join(err, lost))
	}
	err := r.publish(step)
	if err == nil {
		err = r.prune(step)
	}
	if err = errors.Join(err, lost); err != nil {
		return fmt.Errorf("the checkpoint of step %d is saved in %s, but: %w", step, r.stepDir(step), err)
	}
	return nil
}

// commit writes state/step-N.
func (r *Run) commit(step int, s State) (err error) {
	state := r.Path(stateDir)
	if err := r.disk.Mkdir(state); err == nil {
		if err := r.disk.SyncDir(r.Dir); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	temp := filepath.Join(state, "."+stepPrefix+strconv.Itoa(step)+atomicfile.Suffix)
	if err := r.disk.RemoveAll(temp); err != nil {
		return err
	}
	if err := r.disk.Mkdir(temp); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = r.disk.RemoveAll(temp)
		}
	}()
	if err := r.fill(temp, step, s); err != nil {
		return err
	}
	if err := r.disk.SyncDir(temp); err != nil {
		return err
	}
	return r.replace(temp, r.stepDir(step))
}

// fill writes the files of a checkpoint, state.json with their checksums last.
func (r *Run) fill(dir string, step int, s State) error {
	files := map[string]fileSum{}
	write := func(name string, tensors []Tensor, metadata map[string]string) error {
		sum := &summer{}
		err := r.disk.FillNew(filepath.Join(dir, name), func(w io.Writer) error {
			sum.w = w
			return Encode(sum, tensors, metadata)
		})
		files[name] = fileSum{Bytes: sum.n, CRC32C: sum.hex()}
		return err
	}
	if err := write(ModelFile, s.Model, s.Metadata); err != nil {
		return err
	}
	if err := write(optimizerFile, s.Optimizer, nil); err != nil {
		return err
	}
	data, err := encodeState(step, files, r.accepted(), s.Trainer)
	if err != nil {
		return err
	}
	return r.disk.FillNew(filepath.Join(dir, stateFile), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// replace renames a finished directory into place. It removes an older checkpoint of the same step only after that.
func (r *Run) replace(temp, final string) error {
	old := final + oldSuffix
	_, err := os.Lstat(final)
	there := err == nil
	if there {
		if err := r.disk.RemoveAll(old); err != nil {
			return err
		}
		if err := r.disk.Rename(final, old); err != nil {
			return err
		}
	}
	if err := r.disk.Rename(temp, final); err != nil {
		if there {
			err = errors.Join(err, r.disk.Rename(old, final))
		}
		return err
	}
	if err := r.disk.SyncDir(filepath.Dir(final)); err != nil {
		return err
	}
	if there {
		return r.disk.RemoveAll(old)
	}
	return nil
}

// recoverReplaced completes a replacement that was interrupted.
func (r *Run) recoverReplaced() error {
	entries, err := os.ReadDir(r.Path(stateDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), oldSuffix)
		if !ok || !strings.HasPrefix(name, stepPrefix) {
			continue
		}
		old, final := r.Path(stateDir, e.Name()), r.Path(stateDir, name)
		if _, err := os.Lstat(final); err == nil {
			err = r.disk.RemoveAll(old)
			if err != nil {
				return err
			}
		} else if err := r.disk.Rename(old, final); err != nil {
			return err
		}
	}
	return nil
}

// publish makes a checkpoint's weights the run's model.safetensors: by a hard link, or a copy where links fail.
func (r *Run) publish(step int) error {
	from, to := filepath.Join(r.stepDir(step), ModelFile), r.Path(ModelFile)
	temp := r.Path("." + ModelFile + atomicfile.Suffix)
	if err := r.disk.RemoveAll(temp); err != nil {
		return err
	}
	if r.disk.Link(from, temp) != nil {
		return r.AddCopy(ModelFile, from)
	}
	if err := r.disk.Rename(temp, to); err != nil {
		return errors.Join(err, r.disk.RemoveAll(temp))
	}
	// If to was a link to the same file already, the rename did nothing, and temp is left.
	if err := r.disk.RemoveAll(temp); err != nil {
		return err
	}
	return r.disk.SyncDir(r.Dir)
}

// prune removes the oldest checkpoints.
func (r *Run) prune(newest int) error {
	steps, err := r.Steps()
	if err != nil {
		return err
	}
	keep := cmp.Or(max(r.Keep, 0), 2)
	for len(steps) > keep {
		step := steps[0]
		steps = steps[1:]
		if step == newest {
			continue
		}
		if err := r.discard(step); err != nil {
			return err
		}
	}
	return nil
}

// explain adds to the error of a failed save which checkpoint the run still has.
func (r *Run) explain(step int, err error) error {
	err = fmt.Errorf("save the checkpoint of step %d: %w", step, err)
	full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	steps, serr := r.Steps()
	switch {
	case serr != nil || len(steps) == 0:
	case full:
		return fmt.Errorf("%w; the checkpoint of step %d is intact: free some space and resume", err, steps[len(steps)-1])
	default:
		return fmt.Errorf("%w; the checkpoint of step %d is intact", err, steps[len(steps)-1])
	}
	return err
}

// summer is a writer that counts bytes and computes their CRC-32C.
type summer struct {
	w   io.Writer
	n   int64
	crc uint32
}

func (s *summer) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.n += int64(n)
	s.crc = crc32.Update(s.crc, castagnoli, p[:n])
	return n, err
}

// hex returns the checksum as eight digits.
func (s *summer) hex() string { return fmt.Sprintf("%08x", s.crc) }
