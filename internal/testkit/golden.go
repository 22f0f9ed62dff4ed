// Package testkit has the parts that calm's tests share: golden cases computed by the reference, comparisons, tiny models, and
// engines for every instruction set of the machine.
package testkit

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/nn"
)

// Case is a golden case: a directory with inputs, weights and the reference's results. testdata/golden/README.md describes the
// files.
type Case struct {
	Name string // name of the directory
	Dir  string // path of the directory
	Kind string // what it tests, such as "train_energy"

	settings json.RawMessage
	tensors  *checkpoint.File
}

// Root returns the directory of calm's go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("there is no go.mod above the test's directory")
		}
		dir = up
	}
}

// Data returns the path of a file in the directory that the variable CALM_DATA names. It skips the test if the file is absent.
func Data(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(external(t, "CALM_DATA", "data"), name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs %s: set CALM_DATA to the directory that has it", path)
	}
	return path
}

// external returns the directory that a variable names. Unset, it is a directory beside the repository, which need not exist.
func external(t testing.TB, env, name string) string {
	if dir := os.Getenv(env); dir != "" {
		return dir
	}
	return filepath.Join(Root(t), "..", "shared", name)
}

// Golden returns the golden cases of the given kinds: those in testdata/golden, and those in the directory that the variable
// CALM_GOLDEN names. If there are none, it skips the test.
func Golden(t testing.TB, kinds ...string) []Case {
	t.Helper()
	found := map[string]Case{}
	for _, dir := range []string{filepath.Join(Root(t), "testdata", "golden"), external(t, "CALM_GOLDEN", "golden")} {
		cases, err := list(dir)
		if errors.Is(err, fs.ErrNotExist) {
			t.Logf("there is no %s: its golden cases are not run", dir)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			if slices.Contains(kinds, c.Kind) {
				found[c.Name] = c // a case in CALM_GOLDEN replaces its copy in testdata
			}
		}
	}
	if len(found) == 0 {
		t.Skipf("there are no golden cases of kind %s", strings.Join(kinds, ", "))
	}
	out := make([]Case, 0, len(found))
	for _, c := range found {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Case) int { return strings.Compare(a.Name, b.Name) })
	for i := range out {
		out[i].tensors = openTensors(t, filepath.Join(out[i].Dir, "case.safetensors"))
	}
	return out
}

// list returns the cases in a directory. Directories without a case.json are not cases.
func list(dir string) ([]Case, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var cases []Case
	for _, e := range entries {
		c := Case{Name: e.Name(), Dir: filepath.Join(dir, e.Name())}
		c.settings, err = os.ReadFile(filepath.Join(c.Dir, "case.json"))
		if err != nil {
			continue
		}
		var head struct {
			Kind string `json:"kind"`
		}
		if err := json.Unmarshal(c.settings, &head); err != nil {
			return nil, err
		}
		c.Kind = head.Kind
		cases = append(cases, c)
	}
	return cases, nil
}

func openTensors(t testing.TB, path string) *checkpoint.File {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Settings decodes case.json into v.
func (c Case) Settings(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(c.settings, v); err != nil {
		t.Fatalf("%s: case.json: %v", c.Name, err)
	}
}

// Names returns the names of the case's tensors that begin with prefix.
func (c Case) Names(prefix string) []string {
	return slices.DeleteFunc(c.tensors.Names(), func(name string) bool { return !strings.HasPrefix(name, prefix) })
}

// Has reports whether the case has a tensor.
func (c Case) Has(name string) bool {
	_, ok := c.tensors.Info(name)
	return ok
}

// Floats reads a tensor of the case.
func (c Case) Floats(t testing.TB, name string) []float32 {
	t.Helper()
	v, err := c.tensors.Float32s(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Float64s reads a tensor of the case in double precision.
func (c Case) Float64s(t testing.TB, name string) []float64 {
	t.Helper()
	v, err := c.tensors.Float64s(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Ints reads a tensor of integers of the case, which must fit 32 bits.
func (c Case) Ints(t testing.TB, name string) []int32 {
	t.Helper()
	wide := c.Int64s(t, name)
	v := make([]int32, len(wide))
	for i := range v {
		v[i] = int32(wide[i])
	}
	return v
}

// Int64s reads a tensor of integers of the case.
func (c Case) Int64s(t testing.TB, name string) []int64 {
	t.Helper()
	v, err := c.tensors.Int64s(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Shape returns the shape of a tensor of the case.
func (c Case) Shape(t testing.TB, name string) []int {
	t.Helper()
	info, ok := c.tensors.Info(name)
	if !ok {
		t.Fatalf("%s has no tensor %q", c.Name, name)
	}
	return info.Shape
}

// Load sets the parameters ps to the values in the case's model.safetensors, which must have all of them and no others.
func (c Case) Load(t testing.TB, ps *nn.Params) {
	t.Helper()
	f := openTensors(t, filepath.Join(c.Dir, "model.safetensors"))
	for _, p := range ps.All() {
		info, ok := f.Info(p.Name)
		if !ok {
			t.Fatalf("%s: the file lacks the model's parameter %q", c.Name, p.Name)
		}
		values, err := f.Float32s(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := ps.SetData(p.Name, info.Shape, values); err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
	}
	for _, name := range f.Names() {
		if ps.Get(name) == nil {
			t.Errorf("%s: the file has a parameter %q that the model lacks", c.Name, name)
		}
	}
}
