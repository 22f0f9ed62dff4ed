package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/internal/atomicfile"
	"github.com/calm-go/calm/internal/filelock"
	"github.com/calm-go/calm/internal/nofollow"
)

// Names in a run directory.
const (
	ConfigFile    = "config.json"
	ModelFile     = "model.safetensors"
	TokenizerFile = "tokenizer.json"
	AutoencoderIn = "autoencoder"
	MetricsFile   = "metrics.jsonl"

	optimizerFile = "optimizer.safetensors"
	stateFile     = "state.json"
	stateDir      = "state"
	lockFile      = filelock.Name
)

// Run is a run directory. A Run from CreateRun or ResumeRun holds the run's lock and may write; a Run from OpenRun only
// reads. It is not safe for concurrent use.
type Run struct {
	Dir  string // the directory
	Keep int    // number of checkpoints to keep; 0 means 2, in case one is damaged

	disk    *atomicfile.Disk
	lock    io.Closer
	metrics *atomicfile.File
	sums    map[string]string // of the guarded files, as this process wrote or found them; nil for a Run that only reads
}

// CreateRun makes a run in a directory and locks it. The directory must be missing or empty, or have only files of a CreateRun
// that was killed. The caller adds the tokenizer and other files, and config.json last (WriteConfig): only then is the directory
// a run. The error is ErrExists if the directory has a run or other files.
func CreateRun(dir string) (*Run, error) {
	return createRun(dir, new(atomicfile.Disk))
}

func createRun(dir string, disk *atomicfile.Disk) (*Run, error) {
	if err := Free(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("create the run: %w", err)
	}
	r := &Run{Dir: dir, disk: disk, sums: map[string]string{}}
	if err := r.acquire(); err != nil {
		return nil, err
	}
	err := Free(dir) // again: with the lock, no other process can be creating it
	if err == nil {
		err = r.clear()
	}
	if err == nil {
		err = disk.FillNew(r.Path(unborn), func(io.Writer) error { return nil })
	}
	if err == nil {
		err = disk.SyncDir(filepath.Dir(filepath.Clean(dir)))
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// unborn is the name of config.json in a run that is being created. WriteConfig renames it, which makes the directory a run. So a
// directory that has it holds what a killed creation left, and a directory without it may be a run whose config.json was lost.
const unborn = "." + ConfigFile + atomicfile.Suffix

// unfinished lists the files that a run directory may have before config.json. They are copies, which may be removed.
// model.safetensors is one of them only beside unborn: it may be the only copy of the weights of a run that lost its config.json.
var unfinished = []string{lockFile, TokenizerFile, AutoencoderIn}

// Free checks that CreateRun can make a run in dir without a loss of files. It changes nothing. The error is ErrExists if dir is
// a run, or anything but an empty directory. There is another error if the directory cannot be made.
func Free(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(dir); err == nil {
			return fmt.Errorf("create the run: %s %w: it is a link to nothing", dir, ErrExists)
		}
	}
	if err == nil && !info.IsDir() {
		return fmt.Errorf("create the run: %s %w: it is a file", dir, ErrExists)
	}
	if cannot := atomicfile.CanMake(dir); cannot != nil {
		return fmt.Errorf("create the run: %w", cannot)
	}
	if err != nil {
		return nil // it does not exist yet
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("create the run: %w", err)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == name })
	}
	if has(ConfigFile) && (has(lockFile) || has(ModelFile) || has(stateDir)) {
		return fmt.Errorf("create the run: a run %w in %s: choose another directory", ErrExists, dir)
	}
	for _, e := range entries {
		ours := has(lockFile) && (slices.Contains(unfinished, e.Name()) || atomicfile.IsLeftover(e.Name()) || has(unborn) && e.Name() == ModelFile)
		if !ours {
			return fmt.Errorf("create the run: %s %w: choose a directory that is empty or does not exist", filepath.Join(dir, e.Name()), ErrExists)
		}
	}
	return nil
}

// clear removes the files of a killed CreateRun. Free has checked that there are no others. unborn goes last, since without it the
// rest would not count as unfinished.
func (r *Run) clear() error {
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return err
	}
	remove := func(name string) error {
		if err := r.disk.RemoveAll(r.Path(name)); err != nil {
			return fmt.Errorf("create the run: remove what an interrupted start left: %w", err)
		}
		return nil
	}
	for _, e := range entries {
		if e.Name() == lockFile || e.Name() == unborn {
			continue
		}
		if err := remove(e.Name()); err != nil {
			return err
		}
	}
	return remove(unborn)
}

// Abandon undoes CreateRun before WriteConfig: it removes the files that were added, releases the lock, and removes the
// directory if it is empty. After config.json was written, as where syncing it failed, the run is kept and only the lock is
// released.
func (r *Run) Abandon() error {
	r.mustWrite()
	if _, err := os.Lstat(r.Path(ConfigFile)); err == nil {
		return r.Close()
	}
	var errs []error
	for _, name := range []string{TokenizerFile, AutoencoderIn, ModelFile} {
		errs = append(errs, r.disk.RemoveAll(r.Path(name)))
	}
	errs = append(errs, r.disk.RemoveLeftovers(r.Dir), r.disk.RemoveAll(r.Path(lockFile)), r.Close())
	if entries, err := os.ReadDir(r.Dir); err == nil && len(entries) == 0 {
		errs = append(errs, r.disk.RemoveAll(r.Dir))
	}
	return errors.Join(errs...)
}

// AddWeights writes tensors to a file of the run directory (see EncodeStreams). It is for model.safetensors of an imported
// run and for autoencoder/model.safetensors. Save writes checkpoints.
func (r *Run) AddWeights(name string, streams []Stream) error {
	return r.Add(name, func(w io.Writer) error { return EncodeStreams(w, streams, nil) })
}

// OpenRun opens a run for reading. Another process may train it meanwhile. The error is ErrNotRun if dir is not a run.
func OpenRun(dir string) (*Run, error) {
	if dir == "" {
		return nil, fmt.Errorf("open the run: %w: the directory has no name", ErrNotRun)
	}
	if _, err := os.Stat(filepath.Join(dir, ConfigFile)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open %s: %w: it has no %s", dir, ErrNotRun, ConfigFile)
		}
		return nil, fmt.Errorf("open the run: %w", err)
	}
	return &Run{Dir: dir, disk: new(atomicfile.Disk)}, nil
}

// ResumeRun opens a run for training, locks it, and removes unfinished files of killed writers. The error is ErrLocked if
// another process trains it. The caller should read Latest next, and then call TrimMetrics.
func ResumeRun(dir string) (*Run, error) {
	return resumeRun(dir, new(atomicfile.Disk))
}

func resumeRun(dir string, disk *atomicfile.Disk) (*Run, error) {
	r, err := OpenRun(dir)
	if err != nil {
		return nil, err
	}
	r.disk = disk
	if err := r.acquire(); err != nil {
		return nil, err
	}
	err = r.recover()
	if err == nil {
		r.sums, err = r.present()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("resume %s: %w", dir, err), r.Close())
	}
	return r, nil
}

// recover completes or undoes the operation that a killed process was in. It refuses links in places that a run writes to.
func (r *Run) recover() error {
	err := errors.Join(nofollow.CheckDir(r.Path(stateDir)), nofollow.CheckDir(r.Path(AutoencoderIn)), nofollow.Check(r.Path(MetricsFile)))
	if err != nil {
		return err
	}
	for _, dir := range []string{r.Dir, r.Path(stateDir), r.Path(AutoencoderIn)} {
		if err := r.disk.RemoveLeftovers(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return r.recoverReplaced()
}

// Close closes the metrics and releases the lock.
func (r *Run) Close() error {
	var errs []error
	if r.metrics != nil {
		errs = append(errs, r.metrics.Close())
		r.metrics = nil
	}
	if r.lock != nil {
		errs = append(errs, r.lock.Close())
		r.lock = nil
	}
	return errors.Join(errs...)
}

// acquire takes the lock. Its error names the process that has it.
func (r *Run) acquire() error {
	f, err := filelock.Acquire(r.Path(lockFile))
	if err != nil {
		return fmt.Errorf("lock the run %s: %w", r.Dir, err)
	}
	r.lock = f
	return nil
}

// mustWrite panics for a Run that is open for reading only: writing to it is a bug of the caller.
func (r *Run) mustWrite() {
	if r.lock == nil {
		panic("checkpoint: writing to a run that is not locked: use CreateRun or ResumeRun")
	}
}

// Path returns the path of a file in the run directory.
func (r *Run) Path(name ...string) string {
	return filepath.Join(append([]string{r.Dir}, name...)...)
}

// Add writes a file of the run directory atomically, with the content that fill writes. The name may contain one directory, as
// in "autoencoder/config.json".
func (r *Run) Add(name string, fill func(w io.Writer) error) error {
	r.mustWrite()
	path := r.Path(filepath.FromSlash(name))
	if dir := filepath.Dir(path); dir != filepath.Clean(r.Dir) {
		if err := r.disk.Mkdir(dir); err == nil {
			err = r.disk.SyncDir(r.Dir)
			if err != nil {
				return err
			}
		} else if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if !slices.Contains(guarded, name) {
		return r.disk.WriteFile(path, fill)
	}
	sum := &summer{}
	err := r.disk.WriteFile(path, func(w io.Writer) error {
		sum.w = w
		return fill(sum)
	})
	if err == nil {
		r.sums[name] = sum.hex()
	}
	return err
}

// AddCopy is Add with the content of the file at path.
func (r *Run) AddCopy(name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return r.Add(name, func(w io.Writer) error {
		_, err := io.Copy(w, bufio.NewReaderSize(f, 1<<18))
		return err
	})
}

// AddBytes is Add with the content data.
func (r *Run) AddBytes(name string, data []byte) error {
	return r.Add(name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteConfig writes a configuration to config.json; see config.Encode. That makes the directory a run, so all other files must
// be written before. The checkpoints that the run has already accept the new configuration (see Unaltered).
func (r *Run) WriteConfig(v any) error {
	r.mustWrite()
	data, err := config.Encode(v)
	if err != nil {
		return err
	}
	sum := sumOf(data)
	if err := r.accept(map[string]string{ConfigFile: sum}); err != nil {
		return err
	}
	if _, err := os.Lstat(r.Path(unborn)); err != nil {
		return r.AddBytes(ConfigFile, data)
	}
	if err := r.AddBytes(unborn, data); err != nil {
		return err
	}
	r.sums[ConfigFile] = sum
	return r.disk.Commit(r.Path(unborn), r.Path(ConfigFile))
}

// Weights opens the run's newest weights and verifies their checksum. The error is ErrNoCheckpoint if there are none.
func (r *Run) Weights() (*File, error) {
	f, err := Open(r.Path(ModelFile))
	if errors.Is(err, fs.ErrNotExist) { // killed between the first commit and its link
		if steps, serr := r.Steps(); serr == nil && len(steps) > 0 {
			f, err = Open(filepath.Join(r.stepDir(steps[len(steps)-1]), ModelFile))
		} else {
			return nil, fmt.Errorf("%s: %w: train it first (calm train --resume %s)", r.Dir, ErrNoCheckpoint, r.Dir)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := f.Verify(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
