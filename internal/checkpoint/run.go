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

// Run is a run directory. One that CreateRun or ResumeRun returned holds the run's lock and may write; one that
// OpenRun returned only reads. A Run is used by one goroutine at a time.
type Run struct {
	Dir  string
	Keep int // checkpoints to keep; 0 means 2, so that one can be damaged

	disk    *atomicfile.Disk
	lock    io.Closer
	metrics *atomicfile.File
}

// CreateRun begins a run in a directory that is missing or empty, or that a killed CreateRun left unfinished, and
// locks it. The caller adds the tokenizer and what else belongs inside, and config.json last (WriteConfig): only then
// is the directory a run. The error is ErrExists where there is a run already, or other files.
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
	r := &Run{Dir: dir, disk: disk}
	if err := r.acquire(); err != nil {
		return nil, err
	}
	err := Free(dir) // again, now that nobody else can be creating it
	if err == nil {
		err = r.clear()
	}
	if err == nil {
		err = disk.SyncDir(filepath.Dir(filepath.Clean(dir)))
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// unfinished lists what a run directory may hold before it has a config.json. It is copies of other files only: a
// directory that holds more may be a run that lost its config.json, and is nothing to clear away.
var unfinished = []string{lockFile, TokenizerFile, AutoencoderIn}

// Free makes sure that CreateRun can begin a run in dir without anything getting lost, and changes nothing: ErrExists
// where there is a run already, or something else than an empty directory, another error where no directory can be made.
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
		return nil // nothing is there yet
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
		ours := has(lockFile) && (slices.Contains(unfinished, e.Name()) || atomicfile.IsLeftover(e.Name()))
		if !ours {
			return fmt.Errorf("create the run: %s %w: choose a directory that is empty or does not exist", filepath.Join(dir, e.Name()), ErrExists)
		}
	}
	return nil
}

// clear removes what a killed CreateRun left; Free has seen that there is nothing else.
func (r *Run) clear() error {
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == lockFile {
			continue
		}
		if err := r.disk.RemoveAll(r.Path(e.Name())); err != nil {
			return fmt.Errorf("create the run: remove what an interrupted start left: %w", err)
		}
	}
	return nil
}

// Abandon removes what was added to a run that got no config.json, gives the lock back, and removes the directory where
// nothing else is in it.
func (r *Run) Abandon() error {
	r.mustWrite()
	var errs []error
	if _, err := os.Lstat(r.Path(ConfigFile)); err == nil {
		panic("checkpoint: abandoning a finished run")
	}
	for _, name := range []string{TokenizerFile, AutoencoderIn, ModelFile} {
		errs = append(errs, r.disk.RemoveAll(r.Path(name)))
	}
	errs = append(errs, r.disk.RemoveLeftovers(r.Dir), r.disk.RemoveAll(r.Path(lockFile)), r.Close())
	if entries, err := os.ReadDir(r.Dir); err == nil && len(entries) == 0 {
		errs = append(errs, r.disk.RemoveAll(r.Dir))
	}
	return errors.Join(errs...)
}

// AddWeights writes tensors to a file of the run directory, as model.safetensors of a run that trains nothing or
// autoencoder/model.safetensors; see EncodeStreams. What a checkpoint holds goes through Save.
func (r *Run) AddWeights(name string, streams []Stream) error {
	return r.Add(name, func(w io.Writer) error { return EncodeStreams(w, streams, nil) })
}

// OpenRun opens a run for reading, also while another process trains it. The error is ErrNotRun where there is none.
func OpenRun(dir string) (*Run, error) {
	if _, err := os.Stat(filepath.Join(dir, ConfigFile)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open %s: %w: it has no %s", dir, ErrNotRun, ConfigFile)
		}
		return nil, fmt.Errorf("open the run: %w", err)
	}
	return &Run{Dir: dir, disk: new(atomicfile.Disk)}, nil
}

// ResumeRun opens a run for training on, locks it (ErrLocked where another process trains it) and removes what killed
// writers left. Read Latest next, then cut the metrics back with TrimMetrics.
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
	if err := r.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("resume %s: %w", dir, err), r.Close())
	}
	return r, nil
}

// recover finishes or undoes what a killed process was doing.
func (r *Run) recover() error {
	for _, dir := range []string{r.Dir, r.Path(stateDir), r.Path(AutoencoderIn)} {
		if err := r.disk.RemoveLeftovers(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return r.recoverReplaced()
}

// Close closes the metrics and gives the lock back.
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

// acquire takes the lock, or says who has it.
func (r *Run) acquire() error {
	f, err := filelock.Acquire(r.Path(lockFile))
	if err != nil {
		return fmt.Errorf("lock the run %s: %w", r.Dir, err)
	}
	r.lock = f
	return nil
}

// mustWrite panics for a Run that is only open for reading, which is a programmer's error.
func (r *Run) mustWrite() {
	if r.lock == nil {
		panic("checkpoint: writing to a run that is not locked: use CreateRun or ResumeRun")
	}
}

// Path is the path of something in the run directory.
func (r *Run) Path(name ...string) string {
	return filepath.Join(append([]string{r.Dir}, name...)...)
}

// Add writes a file of the run directory, in one step. The name may have one directory in it, as in
// "autoencoder/config.json".
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
	return r.disk.WriteFile(path, fill)
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

// AddBytes is Add for a file that is in memory.
func (r *Run) AddBytes(name string, data []byte) error {
	return r.Add(name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteConfig writes a configuration, a struct as package config has them, to config.json. That makes the directory a run:
// everything else that it needs must be there.
func (r *Run) WriteConfig(v any) error {
	data, err := config.Encode(v)
	if err != nil {
		return err
	}
	return r.AddBytes(ConfigFile, data)
}

// Weights opens the run's newest weights and verifies them.
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
