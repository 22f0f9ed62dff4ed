package checkpoint

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/calm-go/calm/internal/atomicfile"
)

// failing makes operation number at of a disk fail, counted from 0. If forGood is set, all later ones fail too, as when the
// process is killed.
type failing struct {
	at, n    int
	forGood  bool
	err      error
	unsynced map[string]bool // files written since their last sync
}

func (f *failing) disk() *atomicfile.Disk {
	f.unsynced = map[string]bool{}
	return &atomicfile.Disk{Fault: func(op atomicfile.Op, path string, size int) (int, error) {
		i := f.n
		f.n++
		if i == f.at || i > f.at && f.forGood {
			if i == f.at && op == atomicfile.OpWrite {
				f.unsynced[path] = true
				return size / 2, f.err // a short write
			}
			return 0, f.err
		}
		switch op {
		case atomicfile.OpWrite:
			f.unsynced[path] = true
		case atomicfile.OpSync:
			delete(f.unsynced, path)
		}
		return 0, nil
	}}
}

// reached reports whether the operation that should fail was performed.
func (f *failing) reached() bool { return f.n > f.at }

// powerFailure loses the data that were not synced.
func (f *failing) powerFailure(t *testing.T) {
	for path := range f.unsynced {
		if err := os.Truncate(path, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// noLeftovers checks that the run has no unfinished files.
func noLeftovers(t *testing.T, r *Run) {
	t.Helper()
	for _, name := range listing(t, r.Dir) {
		if strings.Contains(name, atomicfile.Suffix) || strings.Contains(name, oldSuffix) {
			t.Errorf("%s was left behind", name)
		}
	}
}

// resumesAt resumes a run whose writer was killed. It checks that the newest checkpoint is complete and of one of the steps,
// and that training can continue from it.
func resumesAt(t *testing.T, dir string, steps ...int) {
	t.Helper()
	r, err := ResumeRun(dir)
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	s, err := r.Latest()
	if err != nil {
		t.Error(err)
		return
	}
	defer s.Close()
	if !slices.Contains(steps, s.Step) || len(s.Warnings) > 0 {
		t.Errorf("resumes at %d (warnings %q); want one of %v", s.Step, s.Warnings, steps)
	}
	checkSaved(t, s)
	noLeftovers(t, r)
	w, err := r.Weights()
	if err != nil {
		t.Error(err)
		return
	}
	defer w.Close()
	if got, err := w.Float32s("a"); err != nil || got[0] != float32(s.Step) {
		t.Errorf("the run's weights are of step %v, %v; the checkpoint's of %d", got, err, s.Step)
	}
	next := s.Step + 1
	if err := r.Save(next, stateAt(next)); err != nil {
		t.Errorf("saving after it: %v", err)
	}
}

// TestKilledAtEveryOperation saves a checkpoint and is killed before each of the disk's operations in turn, with and without the
// loss of unsynced data.
func TestKilledAtEveryOperation(t *testing.T) {
	for _, c := range []struct {
		name  string
		save  int
		allow []int
	}{{"new", 3, []int{2, 3}}, {"same", 2, []int{2}}} {
		for _, power := range []bool{false, true} {
			killed := 0
			for at := 0; ; at++ {
				r := newRun(t, 1, 2)
				f := &failing{at: at, forGood: true, err: errors.New("killed")}
				r.disk = f.disk()
				err := r.Save(c.save, stateAt(c.save))
				r.Close() // releases the lock, as the end of a process does
				if !f.reached() {
					if err != nil {
						t.Error(err)
					}
					break
				}
				killed++
				if power {
					f.powerFailure(t)
				}
				if reader, err := OpenRun(r.Dir); err != nil {
					t.Errorf("%s %d: %v", c.name, at, err)
				} else if w, err := reader.Weights(); err != nil {
					t.Errorf("%s %d: the weights, before resuming: %v", c.name, at, err)
				} else {
					w.Close()
				}
				resumesAt(t, r.Dir, c.allow...)
				if t.Failed() {
					t.Fatalf("%s: killed before operation %d, power failure %v", c.name, at, power)
				}
			}
			if killed < 15 {
				t.Errorf("%s: only %d operations", c.name, killed)
			}
		}
	}
}

// TestFullDiskAtEveryOperation lets each operation fail once, and the process continues. It returns an error, the run has an old
// checkpoint or the new one, and no unfinished files are left.
func TestFullDiskAtEveryOperation(t *testing.T) {
	failed := 0
	for at := 0; ; at++ {
		r := newRun(t, 1, 2)
		f := &failing{at: at, err: syscall.ENOSPC}
		r.disk = f.disk()
		err := r.Save(3, stateAt(3))
		if !f.reached() {
			break
		}
		failed++
		r.disk = new(atomicfile.Disk)
		steps, _ := r.Steps()
		committed := slices.Contains(steps, 3)
		switch {
		case err == nil && !committed:
			t.Errorf("operation %d failed unnoticed", at)
		case err != nil && !errors.Is(err, syscall.ENOSPC):
			t.Errorf("operation %d: %v does not tell of the full disk", at, err)
		case err != nil && !committed && !strings.Contains(err.Error(), "the checkpoint of step 2 is intact: free some space and resume"):
			t.Errorf("operation %d: %v does not say which checkpoint is intact", at, err)
		}
		s, err := r.Latest()
		if err != nil {
			t.Fatalf("operation %d: %v", at, err)
		}
		checkSaved(t, s)
		s.Close()
		if !committed {
			noLeftovers(t, r)
		}
		if err := r.Save(4, stateAt(4)); err != nil {
			t.Errorf("operation %d: saving when there is room again: %v", at, err)
		}
		r.Close()
		resumesAt(t, r.Dir, 4)
	}
	if failed < 15 {
		t.Errorf("only %d operations", failed)
	}
}

// create makes all files that a new run may have before its first checkpoint, as an import does.
func create(r *Run) error {
	for _, name := range []string{TokenizerFile, AutoencoderIn + "/" + ConfigFile, AutoencoderIn + "/" + ModelFile, ModelFile} {
		if err := r.AddBytes(name, []byte("{}")); err != nil {
			return err
		}
	}
	return r.WriteConfig(struct{}{})
}

// TestCreationKilledAtEveryOperation kills the creation of a run. The directory is not a run then, and can be used again.
func TestCreationKilledAtEveryOperation(t *testing.T) {
	killed := 0
	for at := 0; ; at++ {
		dir := filepath.Join(t.TempDir(), "run")
		f := &failing{at: at, forGood: true, err: errors.New("killed")}
		r, err := createRun(dir, f.disk())
		if err == nil {
			err = create(r)
			r.Close()
		}
		if !f.reached() {
			if err != nil {
				t.Error(err)
			}
			break
		}
		killed++
		f.powerFailure(t)
		if _, err := os.Stat(filepath.Join(dir, ConfigFile)); err == nil {
			continue // the last sync alone was missing: it is a run
		}
		if r, err = CreateRun(dir); err != nil {
			t.Fatalf("after operation %d: %v", at, err)
		}
		if err := create(r); err != nil {
			t.Fatalf("after operation %d: %v", at, err)
		}
		r.Close()
	}
	if killed < 30 {
		t.Errorf("only %d operations", killed)
	}
}

// TestRemovalKilledAtEveryOperation kills what removes the files of a killed creation, which is the next creation or Abandon. The
// directory can still be used.
func TestRemovalKilledAtEveryOperation(t *testing.T) {
	killed := 0
	for _, abandon := range []bool{false, true} {
		for at := 0; ; at++ {
			dir := filepath.Join(t.TempDir(), "run")
			r, err := CreateRun(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{TokenizerFile, AutoencoderIn + "/" + ModelFile, ModelFile} {
				if err := r.AddBytes(name, []byte("{}")); err != nil {
					t.Fatal(err)
				}
			}
			f := &failing{at: at, forGood: true, err: errors.New("killed")}
			if abandon {
				r.disk = f.disk()
				_ = r.Abandon()
				r.Close()
			} else {
				r.Close()
				if r, err := createRun(dir, f.disk()); err == nil {
					r.Close()
				}
			}
			if r, err = CreateRun(dir); err != nil {
				t.Fatalf("abandoned: %v; after operation %d: %v", abandon, at, err)
			}
			if err := create(r); err != nil {
				t.Fatalf("abandoned: %v; after operation %d: %v", abandon, at, err)
			}
			r.Close()
			if !f.reached() {
				break
			}
			killed++
		}
	}
	if killed < 10 {
		t.Errorf("only %d operations", killed)
	}
}

// TestMetricsCannotBeSynced: a checkpoint is saved though the file of metrics fails, and the error names both.
func TestMetricsCannotBeSynced(t *testing.T) {
	r := newRun(t, 1)
	broken := errors.New("broken")
	r.disk = &atomicfile.Disk{Fault: func(op atomicfile.Op, path string, size int) (int, error) {
		if filepath.Base(path) == MetricsFile && (op == atomicfile.OpWrite || op == atomicfile.OpSync) {
			return 0, broken
		}
		return 0, nil
	}}
	if err := r.AppendMetrics(map[string]int{"step": 2}); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := r.Save(2, stateAt(2)); !errors.Is(err, broken) || !strings.Contains(err.Error(), "the checkpoint of step 2 is saved") {
		t.Errorf("%v", err)
	}
	r.disk = new(atomicfile.Disk)
	r.Close()
	resumesAt(t, r.Dir, 2)
}

// TestLinksMayFail: where the file system has no hard links, publish copies the weights.
func TestLinksMayFail(t *testing.T) {
	r := newRun(t, 1)
	r.disk = &atomicfile.Disk{Fault: func(op atomicfile.Op, path string, size int) (int, error) {
		if op == atomicfile.OpLink {
			return 0, syscall.EPERM
		}
		return 0, nil
	}}
	if err := r.Save(2, stateAt(2)); err != nil {
		t.Fatal(err)
	}
	top, err := os.ReadFile(r.Path(ModelFile))
	if err != nil {
		t.Fatal(err)
	}
	newest, err := os.ReadFile(filepath.Join(r.stepDir(2), ModelFile))
	if err != nil || !bytes.Equal(top, newest) {
		t.Errorf("model.safetensors is no copy of the newest checkpoint's: %v", err)
	}
	r.Close()
	resumesAt(t, r.Dir, 2)
}

// TestSaveOrder tests the order that makes the rename a commit. The checkpoint's content is durable before the rename, and the
// rename is durable before the run's weights and older checkpoints change.
func TestSaveOrder(t *testing.T) {
	r := newRun(t, 1, 2)
	var got []string
	r.disk = &atomicfile.Disk{Fault: func(op atomicfile.Op, path string, size int) (int, error) {
		if op != atomicfile.OpWrite {
			rel, _ := filepath.Rel(r.Dir, path)
			got = append(got, string(op)+" "+filepath.ToSlash(rel))
		}
		return 0, nil
	}}
	if err := r.Save(3, stateAt(3)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"mkdir state",
		"remove state/.step-3.tmp",
		"mkdir state/.step-3.tmp",
		"create state/.step-3.tmp/model.safetensors",
		"sync state/.step-3.tmp/model.safetensors",
		"create state/.step-3.tmp/optimizer.safetensors",
		"sync state/.step-3.tmp/optimizer.safetensors",
		"create state/.step-3.tmp/state.json",
		"sync state/.step-3.tmp/state.json",
		"sync directory state/.step-3.tmp",
		"rename state/step-3",
		"sync directory state",
		"remove .model.safetensors.tmp",
		"link .model.safetensors.tmp",
		"rename model.safetensors",
		"remove .model.safetensors.tmp",
		"sync directory .",
		"rename state/.step-1.old.tmp",
		"remove state/.step-1.old.tmp",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
