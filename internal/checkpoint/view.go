package checkpoint

import (
	"encoding/binary"
	"unsafe"

	"github.com/calm-go/calm/internal/kernel"
)

// viewAlign is where a tensor has to begin in memory to be used where it lies: at a cache line, so that no vector of
// numbers straddles two. Write begins the data of a file there; what other programs write may lie anywhere.
const viewAlign = 64

// Float32View is a tensor of F32 as it lies in the file, valid until Close. The memory may be the system's own copy of
// the file: it is shared, and writing to it ends the program. It is nil where the tensor has another format or lies
// askew, and has to be copied (ReadFloat32).
func (f *File) Float32View(name string) []float32 { return view[float32](f, name, F32) }

// BF16View is Float32View for a tensor of BF16.
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

// ReadBF16 reads a tensor of floats of any size into memory that is there, each number rounded to the nearest bfloat16:
// dst must be as long as the tensor.
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
