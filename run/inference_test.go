package run_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/internal/bfloat16"
	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/quantize"
	"github.com/calm-go/calm/run"
)

// openAs opens a run with weights in the format d until the test ends.
func openAs(t *testing.T, dir string, d run.DType) *run.Model {
	t.Helper()
	m, err := run.Open(dir, "dtype="+string(d))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// TestOpenBF16 checks that matrices are rounded to the nearest bfloat16 and vectors stay float32. From a file of bfloat16
// matrices, aligned to a cache line or not, both formats give the same numbers.
func TestOpenBF16(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	trainTo(t, 1, 0, run.Options{Kind: run.AE, Set: tinyAE, Data: []string{tinyText(t)}, Steps: 2, Out: dir})
	full, half := openAs(t, dir, run.Float32), openAs(t, dir, run.BFloat16)
	want := map[string][]float32{}
	for _, p := range full.Params.All() {
		h := half.Params.Get(p.Name)
		if (h.BF16 != nil) != p.Matrix() || (h.Data == nil) != p.Matrix() {
			t.Fatalf("%s: want matrices in bfloat16, vectors in float32", p.Name)
		}
		for i, v := range p.Data {
			if p.Matrix() {
				if h.BF16[i] != bfloat16.FromFloat32(v) {
					t.Fatalf("%s: %v became %#x", p.Name, v, h.BF16[i])
				}
				v = bfloat16.ToFloat32(h.BF16[i])
			} else if h.Data[i] != v {
				t.Fatalf("%s: %v became %v", p.Name, v, h.Data[i])
			}
			want[p.Name] = append(want[p.Name], v)
		}
	}
	for _, align := range []int{64, 8} {
		writeBF16(t, filepath.Join(dir, checkpoint.ModelFile), full, align)
		for _, d := range []run.DType{run.Float32, run.BFloat16} {
			for _, p := range openAs(t, dir, d).Params.All() {
				for i, v := range want[p.Name] {
					if p.BF16 != nil && bfloat16.ToFloat32(p.BF16[i]) != v || p.BF16 == nil && p.Data[i] != v {
						t.Fatalf("a file of bfloat16, aligned to %d, as %s: %s has other numbers", align, d, p.Name)
					}
				}
			}
		}
	}
}

// TestOpenInt8 checks that matrices that products read become int8, that vectors and tables that are only looked up stay as the
// file has them, and that a file of bfloat16 opens too.
func TestOpenInt8(t *testing.T) {
	dir, ae := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "ae")
	trainTo(t, 1, 0, run.Options{Kind: run.AE, Set: tinyAE, Data: []string{tinyText(t)}, Steps: 2, Out: ae})
	trainTo(t, 1, 0, run.Options{Kind: run.LM, Set: tinyLM, Data: []string{tinyText(t)}, AE: ae, Steps: 2, Out: dir})
	const lookedUp = "transformer.embed_tokens.weight"
	full := openAs(t, dir, run.Float32)
	check := func(narrow *run.Model) {
		t.Helper()
		for _, p := range full.Params.All() {
			h := narrow.Params.Get(p.Name)
			if !p.Matrix() || p.Name == lookedUp {
				if !slices.Equal(h.Data, p.Data) {
					t.Fatalf("%s is to stay", p.Name)
				}
				continue
			}
			q, scales := make([]int8, p.Size()), make([]float32, p.Shape[0])
			quantize.Matrix(q, scales, p.Data, p.Shape[1])
			if h.Data != nil || h.BF16 != nil || !slices.Equal(h.Int8, q) || !slices.Equal(h.Scales, scales) {
				t.Fatalf("%s is not int8 of its rows", p.Name)
			}
		}
	}
	narrow := openAs(t, dir, run.Int8)
	check(narrow)
	if got := narrow.Params.Get(lookedUp); got == nil || !got.Lookup {
		t.Fatalf("no table %q that is only looked up", lookedUp)
	}
	if _, err := narrow.Evaluate(t.Context(), engine(t, 1), run.Evaluation{Options: eval.Options{MaxBlocks: 1}}); err != nil {
		t.Error(err)
	}
	for _, align := range []int{64, 8} {
		writeBF16(t, filepath.Join(dir, checkpoint.ModelFile), full, align)
		m := openAs(t, dir, run.Int8)
		if p := m.Params.Get(lookedUp); p.BF16 == nil || p.Data != nil {
			t.Error("a table of bfloat16 is to stay bfloat16")
		}
		half := openAs(t, dir, run.BFloat16).Params.Get(lookedUp).BF16
		if !slices.Equal(half, m.Params.Get(lookedUp).BF16) {
			t.Error("a table of bfloat16 has other numbers")
		}
	}
}

// writeBF16 writes a file with a model's matrices as BF16 and its vectors as F32. Its data begins at a multiple of align bytes.
func writeBF16(t *testing.T, path string, m *run.Model, align int) {
	t.Helper()
	header, data := map[string]any{}, []byte(nil)
	for _, p := range m.Params.All() {
		begin, dtype := len(data), "F32"
		for _, v := range p.Data {
			if p.Matrix() {
				data, dtype = binary.LittleEndian.AppendUint16(data, bfloat16.FromFloat32(v)), "BF16"
			} else {
				data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
			}
		}
		header[p.Name] = map[string]any{"dtype": dtype, "shape": p.Shape, "data_offsets": []int{begin, len(data)}}
	}
	head, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	for (8+len(head))%64 != align%64 {
		head = append(head, ' ')
	}
	file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...)
	if err := os.Remove(path); err != nil { // it may be mapped
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(file, data...), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestDType(t *testing.T) {
	if d, others, err := run.SplitDType([]string{"solver=euler", "dtype=bfloat16"}); err != nil || d != run.BFloat16 || !slices.Equal(others, []string{"solver=euler"}) {
		t.Errorf("%v, %v, %v", d, others, err)
	}
	if d, _, err := run.SplitDType(nil); err != nil || d != run.Float32 {
		t.Errorf("without assignments: %v, %v", d, err)
	}
	if d, _, err := run.SplitDType([]string{"dtype=int8"}); err != nil || d != run.Int8 {
		t.Errorf("%v, %v", d, err)
	}
	for _, set := range []string{"dtype=float16", "dtype=int4", "dtype"} {
		_, _, err := run.SplitDType([]string{set})
		if _, ok := errors.AsType[*config.Error](err); !ok {
			t.Errorf("%s: %v, want a *config.Error", set, err)
		}
	}
	o := run.Options{Kind: run.AE, Set: []string{"dtype=bfloat16"}, Out: filepath.Join(t.TempDir(), "run")}
	_, err := run.Create(t.Context(), engine(t, 1), o)
	if _, ok := errors.AsType[*config.Error](err); !ok || !strings.Contains(err.Error(), "training is in float32") {
		t.Errorf("training: %v", err)
	}
	if _, err := run.Open(o.Out, "dtype=half"); err == nil || !strings.Contains(err.Error(), "dtype") {
		t.Errorf("opening as half: %v", err)
	}
}
