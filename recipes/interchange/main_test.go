package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/interchange"
	"github.com/calm-go/calm/internal/testkit"
)

// TestWrite writes what models of every kind compute: all tensors that check.py compares, none of them zero or not finite. The same
// model gives the same file.
func TestWrite(t *testing.T) {
	written := map[string]bool{}
	for _, c := range testkit.Golden(t, "hf_checkpoint") {
		dirs, err := filepath.Glob(filepath.Join(c.Dir, "*", checkpoint.ConfigFile))
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range dirs {
			dir = filepath.Dir(dir)
			kind, _, _ := strings.Cut(filepath.Base(dir), "_")
			if written[kind] {
				continue
			}
			written[kind] = true
			run, first, second := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "1"), filepath.Join(t.TempDir(), "2")
			if _, err := interchange.Import(t.Context(), dir, run, interchange.Options{}); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{first, second} {
				if err := write(run, path); err != nil {
					t.Fatal(err)
				}
			}
			same(t, first, second)
			want := map[string][]string{"autoencoder": {"out.log_std", "out.logits", "out.mean"}, "ar": {"out.logits"}}[kind]
			if want == nil {
				want = []string{"in.noise", "in.target_eps", "in.times", "out.hidden", "out.log_std", "out.mean", "out.predictions"}
			}
			if kind == "energy" {
				want = slices.DeleteFunc(want, func(name string) bool { return name == "in.times" })
			}
			if got := names(t, first); !slices.Equal(got, append([]string{"in.input_ids"}, want...)) {
				t.Errorf("%s: %v, want %v", kind, got, want)
			}
		}
	}
	if len(written) < 2 { // testdata has two kinds
		t.Errorf("only %v", written)
	}
}

// names lists the tensors of a file, and checks their values.
func names(t *testing.T, path string) []string {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := f.Names()
	slices.Sort(all)
	for _, name := range all {
		if name == "in.input_ids" {
			continue
		}
		values, err := f.Float32s(name)
		if err != nil {
			t.Fatal(err)
		}
		largest := 0.
		for _, v := range values {
			largest = max(largest, math.Abs(float64(v)))
		}
		if !(largest > 0) || math.IsInf(largest, 0) {
			t.Errorf("%s: the largest value of %s is %v", path, name, largest)
		}
	}
	return all
}

func same(t *testing.T, a, b string) {
	t.Helper()
	first, err := os.ReadFile(a)
	second, err2 := os.ReadFile(b)
	if err != nil || err2 != nil || !bytes.Equal(first, second) {
		t.Errorf("two files of one model differ (%v, %v)", err, err2)
	}
}
