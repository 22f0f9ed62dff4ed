package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"slices"
	"unicode/utf8"

	"github.com/calm-go/calm/internal/bfloat16"
)

// Stream is a tensor of any format that is read piece by piece, so that models larger than memory can be copied from file to
// file.
type Stream struct {
	Name  string // the tensor's name
	DType DType  // its number format
	Shape []int  // its dimensions; empty for a scalar
	// Each calls use with all bytes in order, row-major and little endian, in pieces of whole numbers. A piece is valid until
	// the next. Each may be called several times. It returns the first error of use.
	Each func(use func(piece []byte) error) error
}

// Stream returns a tensor of the file. If Open opened the file, Each reads it in pieces instead of using the mapping, so that
// pages already read do not fill the memory. The stream is valid until Close.
func (f *File) Stream(name string) (Stream, error) {
	t, data, err := f.get(name)
	if err != nil {
		return Stream{}, err
	}
	s := Stream{Name: name, DType: t.DType, Shape: t.Shape, Each: func(use func([]byte) error) error {
		return eachPiece(bytes.NewReader(data), use)
	}}
	if f.mapping != nil {
		s.Each = func(use func([]byte) error) error {
			file, err := os.Open(f.path)
			if err != nil {
				return err
			}
			defer file.Close()
			return eachPiece(io.NewSectionReader(file, f.header.dataAt+t.begin, t.end-t.begin), use)
		}
	}
	return s, nil
}

// eachPiece calls use with the content of r, in pieces.
func eachPiece(r interface {
	io.Reader
	Size() int64
}, use func([]byte) error) error {
	buf := make([]byte, min(pieceBytes, r.Size()))
	for left := r.Size(); left > 0; left -= int64(len(buf)) {
		buf = buf[:min(left, int64(len(buf)))]
		if _, err := io.ReadFull(r, buf); err != nil {
			return err
		}
		if err := use(buf); err != nil {
			return err
		}
	}
	return nil
}

// pieceBytes is the size of the pieces of large tensors. It is a multiple of every format's size.
const pieceBytes = 1 << 20

// EncodeStreams is Encode for tensors that are not in memory. Each is read twice: for the checksum in the header, and to be
// written. The bytes written depend only on names, formats, shapes, values and metadata, not on the order of streams.
func EncodeStreams(w io.Writer, streams []Stream, metadata map[string]string) error {
	order := slices.Clone(streams)
	slices.SortFunc(order, func(a, b Stream) int {
		return cmp.Or(cmp.Compare(b.DType.Bytes(), a.DType.Bytes()), cmp.Compare(a.Name, b.Name))
	})
	head, err := encodeHeader(order, metadata)
	if err != nil {
		return err
	}
	sum := crc32.Update(0, castagnoli, head)
	for _, t := range order {
		err := t.each(func(p []byte) error {
			sum = crc32.Update(sum, castagnoli, p)
			return nil
		})
		if err != nil {
			return err
		}
	}
	copy(head[bytes.Index(head, []byte(checksumPrefix))+len(checksumPrefix):], fmt.Sprintf("%08x", sum))
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(head)))
	if _, err := w.Write(append(length[:], head...)); err != nil {
		return err
	}
	for _, t := range order {
		err := t.each(func(p []byte) error {
			_, err := w.Write(p)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// each is Each with a check of the number of bytes: with too few, all tensors after this one would be shifted.
func (s Stream) each(use func([]byte) error) error {
	want, err := s.size()
	if err != nil {
		return err
	}
	var got int64
	err = s.Each(func(p []byte) error {
		got += int64(len(p))
		return use(p)
	})
	if err == nil && got != want {
		err = fmt.Errorf("tensor %q of shape %v gave %d bytes; want %d", s.Name, s.Shape, got, want)
	}
	return err
}

// size returns the number of bytes. The error says what is wrong with name, format or shape.
func (s Stream) size() (int64, error) {
	if s.Name == "" || s.Name == metadataKey || !utf8.ValidString(s.Name) {
		return 0, fmt.Errorf("%q is not a valid name for a tensor", s.Name)
	}
	n := s.DType.Bytes()
	if n == 0 {
		return 0, fmt.Errorf("tensor %q has the unknown format %q", s.Name, string(s.DType))
	}
	for _, d := range s.Shape {
		if d < 0 || d > 0 && n > math.MaxInt/8/d {
			return 0, fmt.Errorf("tensor %q cannot have shape %v", s.Name, s.Shape)
		}
		n *= d
	}
	return int64(n), nil
}

// As returns the tensor with its floats converted to format d: F32, BF16 or F16. They are rounded to nearest, ties to even. If
// the tensor has format d already, it is unchanged. Each returns an error where a finite number would become infinite.
func (s Stream) As(d DType) Stream {
	if d == s.DType {
		return s
	}
	from := s
	s.DType = d
	s.Each = func(use func([]byte) error) error {
		const at = 1 << 14
		floats, out := make([]float32, at), make([]byte, 0, at*d.Bytes())
		return from.Each(func(piece []byte) error {
			for part := range slices.Chunk(piece, at*from.DType.Bytes()) {
				values := floats[:len(part)/from.DType.Bytes()]
				if !readFloats(values, part, from.DType) {
					return fmt.Errorf("tensor %q is of type %s: it cannot become %s", s.Name, from.DType, d)
				}
				var err error
				if out, err = appendFloats(out[:0], values, d); err != nil {
					return fmt.Errorf("tensor %q: %w", s.Name, err)
				}
				if err := use(out); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return s
}

// appendFloats appends values in format d.
func appendFloats(dst []byte, values []float32, d DType) ([]byte, error) {
	le := binary.LittleEndian
	narrow, infinity := toFloat16, uint16(0x7c00)
	switch d {
	case F32:
		for _, v := range values {
			dst = le.AppendUint32(dst, math.Float32bits(v))
		}
		return dst, nil
	case BF16:
		narrow, infinity = bfloat16.FromFloat32, 0x7f80
	case F16:
	default:
		return nil, fmt.Errorf("floats cannot be converted to %s", d)
	}
	for _, v := range values {
		h := narrow(v)
		if h&0x7fff == infinity && !math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("%g is too large for %s: choose a wider format", v, d)
		}
		dst = le.AppendUint16(dst, h)
	}
	return dst, nil
}

// toFloat16 rounds to an IEEE 754 half, to nearest, ties to even. Larger numbers become infinite; NaN stays NaN.
func toFloat16(v float32) uint16 {
	b := math.Float32bits(v)
	sign, exponent, fraction := uint16(b>>16)&0x8000, int(b>>23&255)-127+15, b&0x7fffff
	switch {
	case v != v:
		return sign | 0x7e00 | uint16(fraction>>13)
	case exponent >= 31:
		return sign | 0x7c00
	case exponent < -10:
		return sign // less than half of the smallest half
	}
	shift := 13
	if exponent <= 0 { // subnormal: the leading 1 is explicit
		fraction |= 0x800000
		shift += 1 - exponent
		exponent = 0
	}
	h := uint32(exponent)<<10 + fraction>>shift
	rest, half := fraction&(1<<shift-1), uint32(1)<<(shift-1)
	if rest > half || rest == half && h&1 == 1 {
		h++ // a carry into the exponent is right
	}
	return sign | uint16(h)
}
