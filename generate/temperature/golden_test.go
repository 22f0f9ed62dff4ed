package temperature

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/checkpoint"
)

// settings are what the tests need of a case.json.
type settings struct {
	Kind        string
	Temperature float64
}

// TestGoldenTemperature compares candidates, weights and the cascade's m with the
// reference's for every pool of every case. testdata/golden is a copy of one.
func TestGoldenTemperature(t *testing.T) {
	for _, root := range []string{"testdata/golden", goldenRoot()} {
		t.Run(root, func(t *testing.T) {
			dirs := goldenCases(t, root, func(s settings) bool { return s.Kind == "temperature" })
			for dir := range dirs {
				f := openCase(t, dir)
				pools := 0
				for _, name := range f.Names() {
					if pool, ok := strings.CutSuffix(strings.TrimPrefix(name, "in."), ".pool"); ok {
						pools++
						t.Run(filepath.Base(dir)+"/"+pool, func(t *testing.T) { comparePool(t, f, pool) })
					}
				}
				if pools == 0 {
					t.Errorf("%s holds no pools", dir)
				}
			}
		})
	}
}

func comparePool(t *testing.T, f *checkpoint.File, pool string) {
	in, shape := ints(t, f, "in."+pool+".pool")
	n, _ := ints(t, f, "in."+pool+".n")
	candidates, _ := ints(t, f, "out."+pool+".candidates")
	weights, _ := ints(t, f, "out."+pool+".weights")
	m, _ := ints(t, f, "out."+pool+".m")

	c := NewCandidates(narrow(in), shape[1], int(n[0]))
	if c.M != int(m[0]) {
		t.Errorf("m = %d, want %d", c.M, m[0])
	}
	compareCandidates(t, c, candidates, weights)
}

// TestGoldenGenerateCandidates does the same for the pools that the reference
// drew while it generated: out.raw_tokens [steps, B, N, K]. Candidates are filled
// up with -1, weights with 0; a row that has ended has none.
func TestGoldenGenerateCandidates(t *testing.T) {
	dirs := goldenCases(t, goldenRoot(), func(s settings) bool {
		return s.Kind == "generate" && s.Temperature < 1
	})
	for dir, s := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			f := openCase(t, dir)
			raw, shape := ints(t, f, "out.raw_tokens")
			candidates, room := ints(t, f, "out.candidates")
			weights, _ := ints(t, f, "out.weights")
			patch, most := shape[3], room[2]
			batch, err := NewBatch(s.Temperature, patch, shape[2])
			if err != nil {
				t.Fatal(err)
			}
			compared := 0
			for row := range shape[0] * shape[1] {
				size := shape[2] * patch
				pool := narrow(raw[row*size : (row+1)*size])
				w := weights[row*most : (row+1)*most]
				if end := slices.Index(w, 0); end >= 0 {
					w = w[:end]
				}
				if len(w) == 0 {
					continue
				}
				compared++
				at := row * most * patch
				compareCandidates(t, NewCandidates(pool, patch, batch.n), candidates[at:at+len(w)*patch], w)
			}
			if compared == 0 {
				t.Error("no row has candidates")
			}
		})
	}
}

func compareCandidates(t *testing.T, c *Candidates, candidates, weights []int64) {
	t.Helper()
	if c.Len() != len(weights) {
		t.Fatalf("%d candidates, want %d", c.Len(), len(weights))
	}
	if !slices.Equal(c.patches, narrow(candidates)) {
		t.Errorf("candidates %v, want %v", c.patches, candidates)
	}
	for i, w := range weights {
		if got := c.Weight(i); !got.IsInt64() || got.Int64() != w {
			t.Errorf("weight of candidate %d: %v, want %d", i, got, w)
		}
	}
}

func goldenRoot() string {
	if root := os.Getenv("CALM_GOLDEN"); root != "" {
		return root
	}
	return "../../../shared/golden"
}

// goldenCases lists the directories whose settings are wanted; it skips the test
// if there are none.
func goldenCases(t *testing.T, root string, wanted func(settings) bool) map[string]settings {
	files, err := filepath.Glob(filepath.Join(root, "*", "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	dirs := map[string]settings{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := settings{Temperature: math.NaN()}
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if wanted(s) {
			dirs[filepath.Dir(file)] = s
		}
	}
	if len(dirs) == 0 {
		t.Skipf("no such cases in %s (set CALM_GOLDEN)", root)
	}
	return dirs
}

func openCase(t *testing.T, dir string) *checkpoint.File {
	f, err := checkpoint.Open(filepath.Join(dir, "case.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func ints(t *testing.T, f *checkpoint.File, name string) (values []int64, shape []int) {
	t.Helper()
	values, err := f.Int64s(name)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := f.Info(name)
	return values, info.Shape
}

func narrow(wide []int64) []int32 {
	out := make([]int32, len(wide))
	for i, v := range wide {
		out[i] = int32(v)
	}
	return out
}
