package checkpoint

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// DType is a number format of a safetensors file. Its values are the names in the file.
type DType string

// The formats that calm reads. Runs have F32 and I64; imported and exported weights may also have BF16 and F16.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
)

// dtypeBytes has the size of every format with whole bytes, so that files with tensors that calm cannot read can be opened.
var dtypeBytes = map[DType]int{
	F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4,
	"U64": 8, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "C64": 8,
	"F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
}

// Bytes returns the size of one number in bytes; 0 for an unknown format.
func (d DType) Bytes() int { return dtypeBytes[d] }

// littleEndian reports whether numbers have the same bytes in memory as in a file. Copying them is ten times faster than
// converting them. It is a variable so that tests can test the conversion too.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// bytesOf returns the memory of a list of numbers.
func bytesOf[T float32 | float64 | int64](list []T) []byte {
	if len(list) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&list[0])), len(list)*int(unsafe.Sizeof(list[0])))
}

// readFloats converts len(dst) floats of format d. It returns false if d is not a format of floats. float64 is rounded to
// float32; all other conversions are exact.
func readFloats[T float32 | float64](dst []T, src []byte, d DType) bool {
	le := binary.LittleEndian
	if littleEndian && int(unsafe.Sizeof(T(0))) == d.Bytes() && (d == F32 || d == F64) {
		copy(bytesOf(dst), src)
		return true
	}
	switch d {
	case F32:
		for i := range dst {
			dst[i] = T(math.Float32frombits(le.Uint32(src[4*i:])))
		}
	case F64:
		for i := range dst {
			dst[i] = T(math.Float64frombits(le.Uint64(src[8*i:])))
		}
	case BF16:
		for i := range dst {
			dst[i] = T(math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16))
		}
	case F16:
		for i := range dst {
			dst[i] = T(float16(le.Uint16(src[2*i:])))
		}
	default:
		return false
	}
	return true
}

// readInts converts len(dst) integers of format d. It returns false if d is not a format of integers that calm reads.
func readInts(dst []int64, src []byte, d DType) bool {
	le := binary.LittleEndian
	switch d {
	case I64:
		for i := range dst {
			dst[i] = int64(le.Uint64(src[8*i:]))
		}
	case I32:
		for i := range dst {
			dst[i] = int64(int32(le.Uint32(src[4*i:])))
		}
	default:
		return false
	}
	return true
}

// float16 returns the value of an IEEE 754 half: 1 sign bit, 5 exponent bits (bias 15), 10 fraction bits.
func float16(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch exponent {
	case 0: // zero or subnormal: fraction * 2^-24
		v := float32(fraction) * 0x1p-24
		return math.Float32frombits(sign | math.Float32bits(v))
	case 31: // infinity, or NaN with its payload
		return math.Float32frombits(sign | 255<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent-15+127)<<23 | fraction<<13)
}
