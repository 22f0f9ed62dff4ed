package brier

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGoldenBrierArrays compares the two-sample estimator with the reference's
// on its recorded predictions, in every case of that kind and every set in it.
func TestGoldenBrierArrays(t *testing.T) {
	sets := 0
	for _, dir := range goldenCases(t, "brier_arrays") {
		tensors := readTensors(t, filepath.Join(dir, "case.safetensors"))
		for name := range tensors {
			set, ok := strings.CutPrefix(name, "in.")
			set, last := strings.CutSuffix(set, ".targets")
			if !ok || !last {
				continue
			}
			sets++
			t.Run(filepath.Base(dir)+"/"+set, func(t *testing.T) { compareSet(t, tensors, set) })
		}
	}
	if sets == 0 {
		t.Error("the cases hold no sets")
	}
}

// compareSet scores a set's rows as blocks: [B, positions, K].
func compareSet(t *testing.T, tensors map[string]tensor, set string) {
	first, second := tensors["in."+set+".predictions_1"], tensors["in."+set+".predictions_2"]
	targets := tensors["in."+set+".targets"]
	patch := targets.shape[2]
	e, err := NewEstimator(2, patch)
	if err != nil {
		t.Fatal(err)
	}
	var a Accumulator
	for at := 0; at < len(targets.ints); at += patch {
		samples := append(first.ids(at, patch), second.ids(at, patch)...)
		e.Add(&a, at/patch/targets.shape[1], samples, targets.ids(at, patch))
	}
	r := a.Result(1)
	if r.Blocks != targets.shape[0] || r.Positions != targets.shape[0]*targets.shape[1] {
		t.Errorf("%d positions in %d blocks, want %v", r.Positions, r.Blocks, targets.shape)
	}

	var got Score
	for n := range got {
		got[n] = r.Brier[n] / 100
	}
	want := tensors["out."+set+".brier"].floats
	scale := 0.0
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for n, w := range want {
		if math.Abs(got[n]-w) > max(1e-5*scale, 1e-7) {
			t.Errorf("Brier-%d %v, want %v", n+1, got[n], w)
		}
	}
	wantLM := tensors["out."+set+".brier_lm"].floats[0]
	if lm := got.ReferenceLM(); math.Abs(lm-wantLM) > max(1e-5*wantLM, 1e-7) {
		t.Errorf("BrierLM by the reference's rule %v, want %v", lm, wantLM)
	}
	for n, b := range r.Brier {
		if b <= 0 && (r.BrierLM != 0 || r.Measurable) {
			t.Errorf("BrierLM %v although Brier-%d is %v", r.BrierLM, n+1, b)
		}
	}
}

// goldenCases lists the directories of one kind, or skips the test.
func goldenCases(t *testing.T, kind string) []string {
	root := os.Getenv("CALM_GOLDEN")
	if root == "" {
		root = "../../../shared/golden"
	}
	files, err := filepath.Glob(filepath.Join(root, "*", "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no golden vectors in %s (set CALM_GOLDEN)", root)
	}
	var dirs []string
	for _, file := range files {
		var settings struct{ Kind string }
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &settings); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if settings.Kind == kind {
			dirs = append(dirs, filepath.Dir(file))
		}
	}
	if len(dirs) == 0 {
		t.Skipf("no cases of kind %s in %s", kind, root)
	}
	return dirs
}

type tensor struct {
	shape  []int
	ints   []int64
	floats []float64
}

func (x tensor) ids(at, n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(x.ints[at+i])
	}
	return out
}

// readTensors reads the I64 and F32 tensors of a safetensors file.
func readTensors(t *testing.T, path string) map[string]tensor {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := parseTensors(data)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return tensors
}

func parseTensors(data []byte) (map[string]tensor, error) {
	header := binary.LittleEndian.Uint64(data)
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(data[8:8+header], &entries); err != nil {
		return nil, err
	}
	body := data[8+header:]
	tensors := map[string]tensor{}
	for name, raw := range entries {
		if name == "__metadata__" {
			continue
		}
		var entry struct {
			DType   string
			Shape   []int
			Offsets [2]int `json:"data_offsets"`
		}
		if err := json.Unmarshal(raw, &entry); err != nil {
			return nil, err
		}
		x, bytes := tensor{shape: entry.Shape}, body[entry.Offsets[0]:entry.Offsets[1]]
		switch entry.DType {
		case "I64":
			for ; len(bytes) > 0; bytes = bytes[8:] {
				x.ints = append(x.ints, int64(binary.LittleEndian.Uint64(bytes)))
			}
		case "F32":
			for ; len(bytes) > 0; bytes = bytes[4:] {
				x.floats = append(x.floats, float64(math.Float32frombits(binary.LittleEndian.Uint32(bytes))))
			}
		default:
			return nil, fmt.Errorf("%s has type %s", name, entry.DType)
		}
		tensors[name] = x
	}
	return tensors, nil
}
