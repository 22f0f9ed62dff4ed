package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/bfloat16"
)

// raw returns a stream of the given bytes, in pieces of 6 numbers.
func raw(name string, d DType, shape []int, data []byte) Stream {
	return Stream{Name: name, DType: d, Shape: shape, Each: func(use func([]byte) error) error {
		for piece := range slices.Chunk(data, 6*d.Bytes()) {
			if err := use(piece); err != nil {
				return err
			}
		}
		return nil
	}}
}

// bytesOfStream collects the bytes of a stream.
func bytesOfStream(t *testing.T, s Stream) []byte {
	t.Helper()
	var out []byte
	if err := s.Each(func(p []byte) error { out = append(out, p...); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestStreams: tensors of every format, in any order, are unchanged after writing and reading, and the checksum is right.
func TestStreams(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var streams []Stream
	for i, d := range []DType{BF16, F32, F16, I64, F64, I32, "U8"} {
		data := make([]byte, 35*d.Bytes())
		for j := range data {
			data[j] = byte(r.Uint32())
		}
		streams = append(streams, raw(string(rune('a'+i)), d, []int{5, 7}, data))
	}
	var once, again bytes.Buffer
	if err := EncodeStreams(&once, streams, map[string]string{"k": "v"}); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(streams)
	if err := EncodeStreams(&again, streams, map[string]string{"k": "v"}); err != nil || !bytes.Equal(once.Bytes(), again.Bytes()) {
		t.Errorf("another order gives other bytes (%v)", err)
	}
	f, err := Parse("memory", once.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(); err != nil {
		t.Error(err)
	}
	for _, want := range streams {
		got, err := f.Stream(want.Name)
		if err != nil || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(bytesOfStream(t, got), bytesOfStream(t, want)) {
			t.Errorf("%s: came back as %s %v, or with other bytes (%v)", want.Name, got.DType, got.Shape, err)
		}
	}
	if _, err := f.Stream("none"); err == nil {
		t.Error("a stream of a missing tensor")
	}
}

func TestStreamsThatFail(t *testing.T) {
	broken := errors.New("broken")
	fails := raw("a", F32, []int{1}, nil)
	fails.Each = func(func([]byte) error) error { return broken }
	for name, c := range map[string]struct {
		s    Stream
		want string
	}{
		"too few bytes": {raw("a", F32, []int{3}, make([]byte, 8)), "gave 8 bytes; want 12"},
		"too many":      {raw("a", BF16, []int{3}, make([]byte, 8)), "gave 8 bytes; want 6"},
		"unknown type":  {raw("a", "F5", []int{3}, nil), "unknown format"},
		"bad shape":     {raw("a", F32, []int{math.MaxInt, 3}, nil), "cannot have shape"},
		"no name":       {raw("", F32, []int{0}, nil), "is not a valid name"},
		"its source":    {fails, "broken"},
		"too large":     {raw("a", F32, []int{1}, binary.LittleEndian.AppendUint32(nil, math.Float32bits(65520))).As(F16), "65520 is too large"},
		"integers":      {raw("a", I32, []int{1}, make([]byte, 4)).As(F16), "cannot become F16"},
	} {
		err := EncodeStreams(new(bytes.Buffer), []Stream{c.s}, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q in it", name, err, c.want)
		}
	}
}

// TestRounding checks for both 16-bit formats that no other value is nearer than the rounded one.
func TestRounding(t *testing.T) {
	widen := map[DType]func(uint16) float32{
		F16:  float16,
		BF16: func(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) },
	}
	narrow := map[DType]func(float32) uint16{F16: toFloat16, BF16: bfloat16.FromFloat32}
	r := rand.New(rand.NewPCG(3, 4))
	for d, wide := range widen {
		for h := range 1 << 16 { // every value is its own nearest, NaNs remain NaNs
			v := wide(uint16(h))
			if got := narrow[d](v); got != uint16(h) && !(v != v && wide(got) != wide(got)) {
				t.Fatalf("%s: %#x widened and rounded is %#x", d, h, got)
			}
		}
		for range 200000 {
			v := math.Float32frombits(r.Uint32())
			if r.IntN(2) == 0 { // in the range of halves, with subnormal ones
				v = float32(math.Ldexp(r.Float64()*2-1, r.IntN(44)-28))
			}
			if v != v {
				continue
			}
			h := narrow[d](v)
			if math.IsInf(float64(wide(h)), 0) {
				continue // see below
			}
			best := math.Abs(float64(wide(h)) - float64(v))
			for _, near := range []uint16{h - 1, h + 1} {
				other := wide(near)
				distance := math.Abs(float64(other) - float64(v))
				if math.IsInf(float64(other), 0) || other != other {
					continue
				}
				if distance < best || distance == best && near&1 == 0 && h&1 == 1 && wide(h) != other {
					t.Fatalf("%s: %g (%#x) became %g, but %g is nearer or even", d, v, math.Float32bits(v), wide(h), other)
				}
			}
		}
	}
	if h := toFloat16(65519.996); h != 0x7bff {
		t.Errorf("just below the middle to infinity: %#x", h)
	}
	if h := toFloat16(65520); h != 0x7c00 {
		t.Errorf("the middle to infinity: %#x", h)
	}
}

// TestAs converts float32 to 16 bits and back, with pieces larger than the buffer.
func TestAs(t *testing.T) {
	n := 3<<14 + 5
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(i%2048) / 4
	}
	data, _ := appendFloats(nil, values, F32)
	whole := Stream{Name: "a", DType: F32, Shape: []int{n}, Each: func(use func([]byte) error) error { return use(data) }}
	if back := bytesOfStream(t, whole.As(F16).As(F32)); !bytes.Equal(back, data) {
		t.Error("numbers that fit 16 bits came back changed")
	}
	if same := whole.As(F32); same.DType != F32 || !bytes.Equal(bytesOfStream(t, same), data) {
		t.Error("As its own format changes it")
	}
	if small := whole.As(BF16); small.DType != BF16 || len(bytesOfStream(t, small)) != 2*n {
		t.Error("BF16 takes two bytes a number")
	}
}
