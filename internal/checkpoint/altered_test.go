package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// guardedRun makes a run with all guarded files and checkpoints. It is still locked.
func guardedRun(t *testing.T, steps ...int) *Run {
	t.Helper()
	r, err := CreateRun(filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if err := create(r); err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if err := r.Save(step, stateAt(step)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// rate is a configuration.
type rate struct {
	LearningRate float64 `json:"learning_rate"`
}

// TestAlteredFile: a change of any guarded file is an error that says how to accept it, until it is accepted or undone. What a
// checkpoint written later holds is the file as the trainer read it, not as somebody changed it meanwhile.
func TestAlteredFile(t *testing.T) {
	for _, name := range guarded {
		r := guardedRun(t, 1, 2)
		path := r.Path(filepath.FromSlash(name))
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Unaltered(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.WriteFile(path, append(good, ' '), 0o666); err != nil {
			t.Fatal(err)
		}
		for _, step := range []int{2, 3} {
			if err := r.Save(step, stateAt(step)); err != nil {
				t.Fatal(err)
			}
			var altered *AlteredError
			if err := r.Unaltered(); !errors.As(err, &altered) || altered.Path != path || !strings.Contains(err.Error(), "`calm train --resume "+r.Dir+" --accept-config`") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := os.WriteFile(path, good, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := r.Unaltered(); err != nil {
			t.Errorf("%s, put back: %v", name, err)
		}
		if err := os.WriteFile(path, append(good, ' '), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := r.AcceptFiles(); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(r.Unaltered(), r.Save(4, stateAt(4)), r.Unaltered()); err != nil {
			t.Errorf("%s, accepted: %v", name, err)
		}
		if err := r.Rewind(3); err != nil {
			t.Fatal(err)
		}
		if err := r.Unaltered(); err != nil {
			t.Errorf("%s, accepted, then back to an earlier checkpoint: %v", name, err)
		}
	}
}

// TestReplacedConfigIsAccepted replaces config.json by WriteConfig and is killed before each operation in turn. The run is never
// taken for an altered one: not with its newest checkpoint, nor with the one before, nor after the next save.
func TestReplacedConfigIsAccepted(t *testing.T) {
	killed := 0
	for at := 0; ; at++ {
		r := guardedRun(t, 1, 2)
		f := &failing{at: at, forGood: true, err: errors.New("killed")}
		r.disk = f.disk()
		err := r.WriteConfig(rate{1})
		r.Close()
		if !f.reached() && err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if r, err = ResumeRun(r.Dir); err != nil {
				t.Fatal(err)
			}
			if err := r.Unaltered(); err != nil {
				t.Errorf("killed before operation %d: %v", at, err)
			}
			switch i {
			case 0:
				err = r.Rewind(1)
			case 1:
				err = r.Save(5, stateAt(5))
			}
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
		if !f.reached() {
			break
		}
		killed++
	}
	if killed < 8 {
		t.Errorf("only %d operations", killed)
	}
}

// TestOlderCheckpoint: a checkpoint that holds no checksums of the run's files, as older versions of calm wrote it, accepts any. The
// next one holds them.
func TestOlderCheckpoint(t *testing.T) {
	r := guardedRun(t, 1)
	state, err := readState(r.stepDir(1), 1)
	if err != nil {
		t.Fatal(err)
	}
	state.Run = nil
	old, err := state.encode()
	if err != nil || strings.Contains(string(old), `"run"`) {
		t.Fatalf("%s, %v", old, err)
	}
	if err := os.WriteFile(filepath.Join(r.stepDir(1), stateFile), old, 0o666); err != nil {
		t.Fatal(err)
	}
	change := func() {
		if err := os.WriteFile(r.Path(ConfigFile), []byte(`{"b":2}`), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	change()
	if err := errors.Join(r.Unaltered(), r.WriteConfig(rate{2}), r.AcceptFiles(), r.Unaltered()); err != nil {
		t.Error(err)
	}
	if now, err := os.ReadFile(filepath.Join(r.stepDir(1), stateFile)); err != nil || string(now) != string(old) {
		t.Errorf("the older checkpoint became %s, %v", now, err)
	}
	if err := r.Save(2, stateAt(2)); err != nil {
		t.Fatal(err)
	}
	if err := r.Unaltered(); err != nil {
		t.Error(err)
	}
	change()
	if err := r.Unaltered(); err == nil {
		t.Error("a change after the next checkpoint is not noticed")
	}
}

// TestLinksAreNotFollowed puts a link in the place of each file and directory that a run writes to. Training stops with an error that
// names the link, or replaces it; the files that it leads to stay as they are.
func TestLinksAreNotFollowed(t *testing.T) {
	const secret = "mine\n"
	places := []string{lockFile, MetricsFile, ConfigFile, TokenizerFile, ModelFile, AutoencoderIn, stateDir, AutoencoderIn + "/" + ConfigFile,
		stateDir + "/step-2/" + stateFile, stateDir + "/step-2", stateDir + "/.step-4.tmp", ".model.safetensors.tmp", stateDir + "/step-4" + oldSuffix}
	refused := 0
	for _, place := range places {
		r := guardedRun(t, 1, 2)
		if err := r.AppendMetrics(map[string]int{"step": 1}); err != nil {
			t.Fatal(err)
		}
		r.Close()
		outside := t.TempDir()
		path := r.Path(filepath.FromSlash(place))
		target := filepath.Join(outside, "target")
		switch info, err := os.Lstat(path); { // a directory becomes a link to a directory with the same files
		case err == nil && info.IsDir():
			if err := errors.Join(os.CopyFS(target, os.DirFS(path)), os.WriteFile(filepath.Join(target, ".mine.tmp"), []byte(secret), 0o666)); err != nil {
				t.Fatal(err)
			}
		case err == nil:
			data, err := os.ReadFile(path)
			if err = errors.Join(err, os.WriteFile(target, data, 0o666)); err != nil {
				t.Fatal(err)
			}
		default:
			if err := os.WriteFile(target, []byte(secret), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		before := contents(t, outside)
		if err := errors.Join(os.RemoveAll(path), os.Symlink(target, path)); err != nil {
			t.Skip(err)
		}
		err := useRun(r.Dir)
		if err != nil {
			refused++
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v", place, err)
			}
		}
		if after := contents(t, outside); after != before {
			t.Errorf("%s: the target of the link had %q, and has %q", place, before, after)
		}
	}
	if refused < 3 || refused == len(places) {
		t.Errorf("%d of %d links are refused", refused, len(places))
	}
}

// useRun does all that a training does with a run directory.
func useRun(dir string) error {
	r, err := ResumeRun(dir)
	if err != nil {
		return err
	}
	defer r.Close()
	s, err := r.Latest()
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := r.TrimMetrics(0); err != nil {
		return err
	}
	if err := errors.Join(r.WriteConfig(rate{3}), r.AddBytes(TokenizerFile, []byte("[]")), r.AddBytes(AutoencoderIn+"/"+ConfigFile, []byte("[]"))); err != nil {
		return err
	}
	for step := 3; step < 6; step++ {
		if err := errors.Join(r.AppendMetrics(map[string]int{"step": step}), r.Save(step, stateAt(step))); err != nil {
			return err
		}
	}
	return r.Rewind(4)
}

// contents returns the names and contents of all files below dir.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	for _, name := range listing(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(name + ": " + string(data) + "\n")
	}
	return b.String()
}
