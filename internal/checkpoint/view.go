package checkpoint

import (
	"encoding/binary"
	"unsafe"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/internal/quantize"
)

// viewAlign is the alignment in memory, in bytes, of a tensor that is used without copying it. It is a cache line, so that no
// vector of numbers straddles two lines. Encode aligns the data of a file so; other programs may not.
const viewAlign = 64

// Float32View returns a tensor of F32 in the mapped file, without copying it. It is valid until Close. The memory is read-only:
// writing to it crashes the program. It returns nil where the tensor has another format or is not aligned to a cache line; use
// ReadFloat32 then.
func (f *File) Float32View(name string) []float32 { return view[float32](f, name, F32) }

// BF16View is Float32View for a tensor of BF16. The elements are the upper 16 bits of float32.
func (f *File) BF16View(name string) []uint16 { return view[uint16](f, name, BF16) }

func view[T float32 | uint16](f *File, name string, want DType) []T {
	t, data, err := f.get(name)
	if err != nil || t.DType != want || !littleEndian || len(data) == 0 {
		return nil
	}
	p := unsafe.Pointer(unsafe.SliceData(data))
	if uintptr(p)%viewAlign != 0 {
		return nil
	}
	return unsafe.Slice((*T)(p), t.Len())
}

// ReadInt8 reads a matrix [len(scales), columns] of floats of any format into dst, which must have its length, as int8 with a
// scale for each row (package internal/quantize).
func (f *File) ReadInt8(name string, dst []int8, scales []float32) error {
	t, src, err := f.get(name)
	if err != nil {
		return err
	}
	rows := len(scales)
	if t.Len() != len(dst) || len(t.Shape) != 2 || t.Shape[0] != rows {
		return damaged(f.path, "tensor %q has shape %v; want %d rows and %d numbers", name, t.Shape, rows, len(dst))
	}
	cols := t.Shape[1]
	if v := f.Float32View(name); v != nil {
		quantize.Matrix(dst, scales, v, cols)
		return nil
	}
	row, size := make([]float32, cols), cols*t.DType.Bytes()
	for i := range rows {
		if !readFloats(row, src[i*size:(i+1)*size], t.DType) {
			return f.wrongType(t, "floats")
		}
		scales[i] = quantize.Row(dst[i*cols:(i+1)*cols], row)
	}
	return nil
}

// ReadBF16 reads a tensor of floats of any format into dst, which must have the tensor's length. It rounds each number to the
// nearest bfloat16.
func (f *File) ReadBF16(name string, dst []uint16) error {
	t, src, err := f.get(name)
	if err != nil {
		return err
	}
	if t.Len() != len(dst) {
		return damaged(f.path, "tensor %q has shape %v, %d numbers; want %d", name, t.Shape, t.Len(), len(dst))
	}
	if v := f.Float32View(name); v != nil {
		kernel.Best().RoundBF16(dst, v)
		return nil
	}
	if t.DType == BF16 {
		for i := range dst {
			dst[i] = binary.LittleEndian.Uint16(src[2*i:])
		}
		return nil
	}
	const chunk = 1 << 12
	isa := kernel.Best()
	buf, size := make([]float32, min(chunk, len(dst))), t.DType.Bytes()
	for len(dst) > 0 {
		n := min(chunk, len(dst))
		if !readFloats(buf[:n], src, t.DType) {
			return f.wrongType(t, "floats")
		}
		isa.RoundBF16(dst[:n], buf[:n])
		dst, src = dst[n:], src[n*size:]
	}
	return nil
}
