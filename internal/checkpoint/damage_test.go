package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDamagedCheckpoint damages the newest checkpoint in many ways. The one before it is used instead.
func TestDamagedCheckpoint(t *testing.T) {
	flip := func(at func(n int) int) func([]byte) []byte {
		return func(b []byte) []byte {
			b[at(len(b))] ^= 4
			return b
		}
	}
	ways := map[string]func([]byte) []byte{
		"first byte":  flip(func(n int) int { return 0 }),
		"middle byte": flip(func(n int) int { return n / 2 }),
		"late byte":   flip(func(n int) int { return n - 5 }),
		"truncated":   func(b []byte) []byte { return b[:len(b)-7] },
		"longer":      func(b []byte) []byte { return append(b, 'x') },
		"empty":       func(b []byte) []byte { return nil },
		"zeros":       func(b []byte) []byte { return make([]byte, len(b)) },
		"missing":     nil,
	}
	for _, name := range []string{ModelFile, optimizerFile, stateFile} {
		for way, damage := range ways {
			r := newRun(t, 1, 2)
			path := filepath.Join(r.stepDir(2), name)
			data, err := os.ReadFile(path)
			if err == nil {
				err = os.Remove(path) // the top-level link must not change with it
			}
			if err == nil && damage != nil {
				err = os.WriteFile(path, damage(data), 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
			s, err := r.Latest()
			if err != nil {
				t.Fatalf("%s, %s: %v", name, way, err)
			}
			checkSaved(t, s)
			if s.Step != 1 || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], path) {
				t.Errorf("%s, %s: step %d, warnings %q", name, way, s.Step, s.Warnings)
			}
			s.Close()
			if _, err := os.Stat(r.stepDir(2) + damagedSuffix); err != nil {
				t.Errorf("%s, %s: the damaged checkpoint was not kept: %v", name, way, err)
			}
			if err := r.Save(2, stateAt(2)); err != nil {
				t.Error(err)
			}
			r.Close()
			resumesAt(t, r.Dir, 2)
		}
	}
}

func TestAllCheckpointsDamaged(t *testing.T) {
	r := newRun(t, 1, 2)
	for _, step := range []int{1, 2} {
		if err := os.Truncate(filepath.Join(r.stepDir(step), optimizerFile), 9); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.Latest()
	if err == nil || errors.Is(err, ErrNoCheckpoint) {
		t.Fatalf("Latest: %v; training must not begin again on top of it", err)
	}
	for _, step := range []int{1, 2} {
		if !strings.Contains(err.Error(), fmt.Sprintf("step-%d", step)) {
			t.Errorf("%v does not tell of step %d", err, step)
		}
	}
	if steps, _ := r.Steps(); len(steps) != 2 {
		t.Errorf("only the steps %v are left", steps)
	}
}

func TestDamagedWeights(t *testing.T) {
	r := newRun(t, 1)
	path := r.Path(ModelFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		w, err := r.Weights()
		if err == nil {
			// Only a flipped bit in the checksum's key or quotes may be accepted. The file then looks like one that
			// another program wrote, with the same weights.
			got, terr := w.Tensor("b")
			if !bytes.Contains(data[max(0, i-len(checksumPrefix)):i+len(checksumPrefix)], []byte("crc32c")) ||
				terr != nil || !slices.Equal(got.Data, stateAt(1).Model[0].Data) {
				t.Errorf("a flipped bit at byte %d was not noticed", i)
			}
			w.Close()
		} else if _, ok := errors.AsType[*DamagedError](err); !ok {
			t.Errorf("byte %d: %v", i, err)
		}
	}
}
