package checkpoint

import (
	"bytes"
	"slices"
	"testing"
	"unsafe"

	"github.com/calm-go/calm/internal/bfloat16"
	"github.com/calm-go/calm/internal/quantize"
)

// TestViews: only a tensor that is aligned to a cache line and has the right format has a view. Others must be copied.
func TestViews(t *testing.T) {
	a := Tensor{Name: "a", Shape: []int{4, 5}, Data: make([]float32, 20)} // 80 bytes: b begins in the middle of a line
	b := Tensor{Name: "b", Shape: []int{3}, Data: []float32{1, 1.0078125, 3}}
	for i := range a.Data {
		a.Data[i] = float32(i) + .1
	}
	var file bytes.Buffer
	if err := Encode(&file, []Tensor{a, b}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Parse("memory", aligned(file.Bytes(), 0))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Float32View("a"); !slices.Equal(got, a.Data) {
		t.Errorf("a is %v", got)
	}
	if one, two := f.Float32View("a"), f.Float32View("a"); &one[0] != &two[0] {
		t.Error("a was copied")
	}
	if f.Float32View("b") != nil || f.BF16View("a") != nil || f.Float32View("c") != nil {
		t.Error("a view of a tensor that is not aligned, of another format, or missing")
	}
	half := make([]uint16, 3)
	if err := f.ReadBF16("b", half); err != nil || half[1] != bfloat16.FromFloat32(1.0078125) || half[2] != bfloat16.FromFloat32(3) {
		t.Errorf("b is %x, %v", half, err)
	}
	if f.ReadBF16("a", half) == nil || f.ReadBF16("c", half) == nil {
		t.Error("a tensor of another size, or none, is read")
	}
	askew, err := Parse("memory", aligned(file.Bytes(), 8))
	if err != nil {
		t.Fatal(err)
	}
	if askew.Float32View("a") != nil {
		t.Error("a view of a tensor that is not aligned")
	}
}

// TestReadInt8: rows are those of quantize.Row, whatever the format and alignment of the file.
func TestReadInt8(t *testing.T) {
	a := Tensor{Name: "a", Shape: []int{4, 5}, Data: make([]float32, 20)}
	for i := range a.Data {
		a.Data[i] = float32(i*i%7) - 2.5 // exact in every format
	}
	data, err := appendFloats(nil, a.Data, F32)
	if err != nil {
		t.Fatal(err)
	}
	want, scales := make([]int8, 20), make([]float32, 4)
	quantize.Matrix(want, scales, a.Data, 5)
	for _, d := range []DType{F32, BF16, F16} {
		var file bytes.Buffer
		streams := []Stream{raw("a", F32, a.Shape, data).As(d), raw("n", I64, a.Shape, make([]byte, 160))}
		if err := EncodeStreams(&file, streams, nil); err != nil {
			t.Fatal(err)
		}
		for _, after := range []int{0, 8} {
			f, err := Parse("memory", aligned(file.Bytes(), after))
			if err != nil {
				t.Fatal(err)
			}
			f.Forget() // does nothing: the file is not mapped
			got, s := make([]int8, 20), make([]float32, 4)
			if err := f.ReadInt8("a", got, s); err != nil || !slices.Equal(got, want) || !slices.Equal(s, scales) {
				t.Errorf("%s: %v of %v, want %v of %v: %v", d, got, s, want, scales, err)
			}
			for name, rows := range map[string]int{"a": 5, "gone": 4, "n": 4} {
				if f.ReadInt8(name, got, make([]float32, rows)) == nil {
					t.Errorf("%d rows of %q are read", rows, name)
				}
			}
		}
	}
}

// aligned copies data to memory that begins after bytes after a cache line.
func aligned(data []byte, after int) []byte {
	buf := make([]byte, len(data)+128)
	for i := range 64 {
		if uintptr(unsafe.Pointer(&buf[i]))%64 == uintptr(after) {
			return append(buf[i:i], data...)
		}
	}
	panic("no byte in 64 begins a line")
}
