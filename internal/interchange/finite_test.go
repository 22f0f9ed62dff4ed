package interchange

import (
	"encoding/binary"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
)

// TestFinite tries every exponent at every place of a piece, of lengths that fill whole words and others.
func TestFinite(t *testing.T) {
	t.Parallel()
	for d, width := range map[checkpoint.DType]int{checkpoint.F32: 4, checkpoint.BF16: 2, checkpoint.F16: 2} {
		for bits := range 1 << 16 {
			var wrong bool
			switch d {
			case checkpoint.F16:
				wrong = bits&0x7c00 == 0x7c00
			default: // bfloat16 is the upper half of float32
				v := float64(math.Float32frombits(uint32(bits) << 16))
				wrong = math.IsNaN(v) || math.IsInf(v, 0)
			}
			n := 1 + bits%9
			at := bits % n
			piece := make([]byte, n*width)
			for i := range piece {
				piece[i] = 0x3b // a neighbour that is neither 0 nor wrong
			}
			binary.LittleEndian.PutUint16(piece[at*width+width-2:], uint16(bits))
			if got := finite(d, piece); got == wrong {
				t.Fatalf("%s %04x at %d of %d: finite is %v", d, bits, at, n, got)
			}
		}
	}
	if quiet := binary.LittleEndian.AppendUint32(nil, 0x7f800001); finite(checkpoint.F32, quiet) { // NaN by its lowest bit
		t.Error("a NaN is finite")
	}
}

// TestNotFinite: weights with NaN or infinity are an error that names their tensors, in every format, unless they are allowed.
func TestNotFinite(t *testing.T) {
	t.Parallel()
	for _, kind := range []run.Kind{run.AE, run.LM, run.AR} {
		for format, wrong := range map[string][]byte{"float32": {0, 0, 0x80, 0x7f}, "bfloat16": {0xc0, 0xff}, "float16": {0, 0x7c}} {
			src := exported(t, kind, format)
			var named []string
			rewrite(t, filepath.Join(src, "model.safetensors"), func(all map[string]checkpoint.Stream) {
				for name, s := range all {
					if strings.Contains(name, "norm.weight") && !strings.HasPrefix(name, lm.AEPrefix) {
						data := bytesOf(t, s)
						copy(data[len(data)-len(wrong):], wrong)
						s.Each = func(use func([]byte) error) error { return use(data) }
						all[name] = s
						named = append(named, name)
					}
				}
			})
			if len(named) == 0 {
				t.Fatalf("%s has no norms", kind)
			}
			_, _, err := bring(t, src, Options{})
			if _, ok := errors.AsType[*run.UsageError](err); !ok || !strings.Contains(err.Error(), "NaN or infinity") || !strings.Contains(err.Error(), "--allow-nan") {
				t.Fatalf("%s in %s: %v", kind, format, err)
			}
			if len(named) <= listMax {
				for _, name := range named {
					if !strings.Contains(err.Error(), name) {
						t.Errorf("%s in %s: %v; want %s in it", kind, format, err, name)
					}
				}
			}
			if _, r, err := bring(t, src, Options{AllowNaN: true}); err != nil || !strings.Contains(strings.Join(r.Notes, "\n"), "NaN or infinity") {
				t.Errorf("%s in %s, allowed: %+v, %v", kind, format, r, err)
			}
		}
	}
}

// TestNotFiniteEverywhere: however many tensors are wrong, the message is short.
func TestNotFiniteEverywhere(t *testing.T) {
	t.Parallel()
	src := exported(t, run.AR, "")
	rewrite(t, filepath.Join(src, "model.safetensors"), func(all map[string]checkpoint.Stream) {
		for name, s := range all {
			data := bytesOf(t, s)
			copy(data, []byte{0, 0, 0xc0, 0x7f})
			s.Each = func(use func([]byte) error) error { return use(data) }
			all[name] = s
		}
	})
	_, _, err := bring(t, src, Options{})
	if err == nil || !strings.Contains(err.Error(), "more") || len(err.Error()) > 1500 {
		t.Errorf("%v", err)
	}
}
