package checkpoint_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/calm-go/calm/internal/checkpoint"
)

// goldenDir returns the directory of the golden cases, or skips the test.
func goldenDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CALM_GOLDEN")
	if dir == "" {
		dir = "../../../shared/golden" // beside the directory that holds go.mod
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no golden vectors: %v (set CALM_GOLDEN)", err)
	}
	return dir
}

// TestGoldenSafetensors reads every tensor of every safetensors file among the golden cases, writes those of types that calm
// writes, and reads them back.
func TestGoldenSafetensors(t *testing.T) {
	dir := goldenDir(t)
	files, tensors := 0, map[checkpoint.DType]int{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".safetensors" {
			return err
		}
		f, err := checkpoint.Open(path)
		if err != nil {
			t.Error(err)
			return nil
		}
		defer f.Close()
		files++
		if err := f.Verify(); err != nil {
			t.Error(err)
		}
		var list []checkpoint.Tensor
		for _, name := range f.Names() {
			info, _ := f.Info(name)
			tensors[info.DType]++
			if info.DType == checkpoint.F64 {
				if v, err := f.Float64s(name); err != nil || len(v) != info.Len() {
					t.Errorf("%s: %s: %d numbers, %v", path, name, len(v), err)
				}
			}
			tensor, err := f.Tensor(name)
			if err != nil {
				t.Error(err)
				continue
			}
			list = append(list, tensor)
		}
		roundTrip(t, list)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files, tensors by type: %v", files, tensors)
	if files == 0 || tensors[checkpoint.F32] == 0 {
		t.Error("no files were found")
	}
}

// roundTrip encodes tensors and checks that decoding gives the same.
func roundTrip(t *testing.T, list []checkpoint.Tensor) {
	t.Helper()
	var out bytes.Buffer
	if err := checkpoint.Encode(&out, list, nil); err != nil {
		t.Error(err)
		return
	}
	f, err := checkpoint.Parse("memory", out.Bytes())
	if err != nil {
		t.Error(err)
		return
	}
	if err := f.Verify(); err != nil {
		t.Error(err)
	}
	if len(f.Names()) != len(list) {
		t.Errorf("%d tensors came back of %d", len(f.Names()), len(list))
	}
	for _, want := range list {
		got, err := f.Tensor(want.Name)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", want.Name, err, diff)
		}
	}
}
