package checkpoint

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// progress is the trainer's state in these tests.
type progress struct {
	Position int      `json:"position"`
	Notes    []string `json:"notes"`
}

// stateAt returns a state whose numbers all depend on the step.
func stateAt(step int) State {
	weights := func(n int) []float32 {
		w := make([]float32, n)
		for i := range w {
			w[i] = float32(step) + float32(i)/1000
		}
		return w
	}
	return State{
		Model:     []Tensor{{Name: "b", Shape: []int{3, 5}, Data: weights(15)}, {Name: "a", Data: weights(1)}},
		Optimizer: []Tensor{{Name: "m.a", Shape: []int{700}, Data: weights(700)}, {Name: "t", Ints: []int64{int64(step)}}},
		Trainer:   progress{Position: 10 * step, Notes: []string{"x"}},
	}
}

// checkSaved checks that a checkpoint has the content of stateAt.
func checkSaved(t *testing.T, s *Saved) {
	t.Helper()
	want := stateAt(s.Step)
	check := func(f *File, tensors []Tensor) {
		for _, w := range tensors {
			got, err := f.Tensor(w.Name)
			if err != nil || !slices.Equal(got.Data, w.Data) || !slices.Equal(got.Ints, w.Ints) {
				t.Errorf("step %d: tensor %s: %v", s.Step, w.Name, err)
			}
		}
	}
	check(s.Model, want.Model)
	check(s.Optimizer, want.Optimizer)
	var p progress
	if err := s.Trainer(&p); err != nil || p.Position != 10*s.Step {
		t.Errorf("step %d: trainer's state %+v, %v", s.Step, p, err)
	}
}

// newRun makes a run with a configuration and the given checkpoints. It is still locked.
func newRun(t *testing.T, steps ...int) *Run {
	t.Helper()
	r, err := CreateRun(filepath.Join(t.TempDir(), "run"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if err := r.WriteConfig(struct {
		A int `json:"a"`
	}{1}); err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if err := r.Save(step, stateAt(step)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// listing returns the paths of all files below dir, with slashes.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestRunLayout(t *testing.T) {
	r := newRun(t, 1, 2, 10)
	err := r.Add("autoencoder/config.json", func(w io.Writer) error {
		_, err := io.WriteString(w, "{}\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.AddCopy("tokenizer.json", r.Path(ConfigFile)); err != nil {
		t.Fatal(err)
	}
	if err := r.AppendMetrics(map[string]int{"step": 1}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		".lock", "autoencoder/config.json", "config.json", "metrics.jsonl", "model.safetensors",
		"state/step-10/model.safetensors", "state/step-10/optimizer.safetensors", "state/step-10/state.json",
		"state/step-2/model.safetensors", "state/step-2/optimizer.safetensors", "state/step-2/state.json",
		"tokenizer.json",
	}
	if got := listing(t, r.Dir); !slices.Equal(got, want) {
		t.Errorf("the run holds\n%v\nwant\n%v", got, want)
	}
	top, _ := os.Stat(r.Path(ModelFile))
	newest, _ := os.Stat(r.Path("state/step-10/model.safetensors"))
	if !os.SameFile(top, newest) {
		t.Error("model.safetensors is no link to the newest checkpoint's")
	}
}

func TestSavedComesBack(t *testing.T) {
	r := newRun(t, 3, 4)
	dir := r.Dir
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func(string) (*Run, error){"read": OpenRun, "resume": ResumeRun} {
		r, err := open(dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s, err := r.Latest()
		if err != nil || s.Step != 4 || len(s.Warnings) > 0 {
			t.Fatalf("%s: %+v, %v", name, s, err)
		}
		checkSaved(t, s)
		w, err := r.Weights()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := w.Float32s("a"); err != nil || got[0] != 4 {
			t.Errorf("%s: the run's weights are of step %v, %v; want 4", name, got, err)
		}
		for _, c := range []io.Closer{w, s, r} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestSameStepAgain(t *testing.T) {
	r := newRun(t, 1, 2)
	again := stateAt(2)
	again.Trainer = progress{Position: 20, Notes: []string{"second"}}
	if err := r.Save(2, again); err != nil {
		t.Fatal(err)
	}
	s, err := r.Latest()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	checkSaved(t, s)
	var p progress
	if err := s.Trainer(&p); err != nil || s.Step != 2 || !slices.Equal(p.Notes, []string{"second"}) {
		t.Errorf("step %d holds %+v, %v", s.Step, p, err)
	}
	for _, name := range listing(t, r.Dir) {
		if strings.Contains(name, oldSuffix) || strings.Contains(name, ".tmp") {
			t.Errorf("%s was left behind", name)
		}
	}
}

// TestTrainer reads the trainer's state without the weights, from the newest checkpoint whose state.json is undamaged.
func TestTrainer(t *testing.T) {
	var got progress
	if err := newRun(t).Trainer(&got); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("before the first checkpoint: %v", err)
	}
	r := newRun(t, 1, 2)
	for _, want := range []int{20, 10} {
		if err := r.Trainer(&got); err != nil || got.Position != want {
			t.Errorf("%+v, %v; want position %d", got, err, want)
		}
		if err := os.WriteFile(r.Path(stateDir, stepPrefix+strconv.Itoa(want/10), stateFile), []byte("{}"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := errors.AsType[*DamagedError](r.Trainer(&got)); !ok {
		t.Error("nothing is said of damage")
	}
}

func TestTrainerStateIsStrict(t *testing.T) {
	r := newRun(t, 1)
	s, err := r.Latest()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var other struct {
		Position int `json:"position"`
	}
	if _, ok := errors.AsType[*DamagedError](s.Trainer(&other)); !ok {
		t.Error("a key that the trainer does not know was dropped")
	}
}

func TestCreateRunRefuses(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.tex"), []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	run := newRun(t, 1)
	lost := newRun(t, 1) // a run whose configuration was deleted still has weights
	for _, r := range []*Run{run, lost} {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(lost.Path(ConfigFile)); err != nil {
		t.Fatal(err)
	}
	file, dangling := filepath.Join(full, "thesis.tex"), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("gone", dangling); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ dir, want string }{
		{full, "thesis.tex is in the way"},
		{run.Dir, "a run is in the way"},
		{lost.Dir, "is in the way"},
		{file, "it is a file"},
		{dangling, "it is a link to nothing"},
	} {
		before, isDir := "", c.dir != file && c.dir != dangling
		if isDir {
			before = strings.Join(listing(t, c.dir), "\n")
		}
		_, err := CreateRun(c.dir)
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrExists) {
			t.Errorf("CreateRun(%s): %v; want %q", c.dir, err, c.want)
		}
		if isDir && strings.Join(listing(t, c.dir), "\n") != before {
			t.Errorf("CreateRun(%s) changed something", c.dir)
		}
	}
}

func TestCreateRunAfterKilledCreateRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r, err := CreateRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tokenizer.json", "autoencoder/model.safetensors", ModelFile} {
		if err := r.Add(name, func(w io.Writer) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	r.Close()
	if _, err := OpenRun(dir); !errors.Is(err, ErrNotRun) {
		t.Errorf("a directory without config.json: %v", err)
	}
	r, err = CreateRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := listing(t, dir); !slices.Equal(got, []string{unborn, ".lock"}) {
		t.Errorf("the new run begins with %v", got)
	}
}

func TestLock(t *testing.T) {
	r := newRun(t, 1)
	if _, err := ResumeRun(r.Dir); !errors.Is(err, ErrLocked) {
		t.Fatalf("a run in training was resumed: %v", err)
	}
	reader, err := OpenRun(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Weights(); err != nil {
		t.Errorf("a run in training cannot be read: %v", err)
	}
	r.Close()
	again, err := ResumeRun(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	defer func() {
		if recover() == nil {
			t.Error("a run that is open for reading could be written to")
		}
	}()
	_ = reader.Save(2, stateAt(2))
}

func TestNoCheckpoint(t *testing.T) {
	r := newRun(t)
	if _, err := r.Latest(); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("Latest: %v", err)
	}
	if _, err := r.Weights(); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("Weights: %v", err)
	}
}

func TestPruneKeeps(t *testing.T) {
	for _, c := range []struct {
		keep int
		want []int
	}{{0, []int{4, 5}}, {1, []int{5}}, {3, []int{3, 4, 5}}} {
		r := newRun(t)
		r.Keep = c.keep
		for step := 1; step <= 5; step++ {
			if err := r.Save(step, stateAt(step)); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := r.Steps(); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("Keep %d left %v, %v; want %v", c.keep, got, err, c.want)
		}
	}
}

// TestAbandon: nothing is left of an abandoned run, and files that were there before stay.
func TestAbandon(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r, err := CreateRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	one := Stream{Name: "a", DType: BF16, Shape: []int{1}, Each: func(use func([]byte) error) error { return use([]byte{0, 0}) }}
	for _, name := range []string{ModelFile, AutoencoderIn + "/" + ModelFile} {
		if err := r.AddWeights(name, []Stream{one}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Abandon(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	if r, err = CreateRun(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := r.Abandon(); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "mine" {
		t.Errorf("want what lay there before, found %v, %v", entries, err)
	}
}

// TestAbandonAfterConfig: a run whose config.json was written is kept, and can be opened.
func TestAbandonAfterConfig(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r, err := CreateRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WriteConfig(struct{}{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Abandon(); err != nil {
		t.Error(err)
	}
	r, err = OpenRun(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
