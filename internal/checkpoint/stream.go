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

// Stream is a named tensor of any format whose bytes come when they are asked for, so that models larger than memory
// pass from file to file.
type Stream struct {
	Name  string
	DType DType
	Shape []int // empty for a scalar
	// Each hands out all bytes in their order, row-major and little endian, in pieces of whole numbers that are valid
	// until the next. It is called as often as the bytes are wanted.
	Each func(use func(piece []byte) error) error
}

// Stream returns a tensor of the file. A file that Open opened is read anew in pieces, not through its mapping, so that
// what has passed takes no memory. It is valid until Close.
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

// eachPiece hands out what r has left.
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

// pieceBytes is the size of the pieces in which large tensors are handed on: whole numbers of every format.
const pieceBytes = 1 << 20

// EncodeStreams is Encode for tensors that are not in memory: each is read twice, for the checksum, which the header
// holds, and to be written. Its bytes, too, follow from names, formats, shapes, values and metadata alone.
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

// each is Each, with a count of the bytes: a source that gives too few would shift all tensors behind.
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

// size is the number of bytes, or what is wrong with the description.
func (s Stream) size() (int64, error) {
	if s.Name == "" || s.Name == metadataKey || !utf8.ValidString(s.Name) {
		return 0, fmt.Errorf("%q is no name for a tensor", s.Name)
	}
	n := s.DType.Bytes()
	if n == 0 {
		return 0, fmt.Errorf("tensor %q has no format that could be written: %q", s.Name, string(s.DType))
	}
	for _, d := range s.Shape {
		if d < 0 || d > 0 && n > math.MaxInt/8/d {
			return 0, fmt.Errorf("tensor %q cannot have shape %v", s.Name, s.Shape)
		}
		n *= d
	}
	return int64(n), nil
}

// As returns the tensor with its floats rounded to another format of floats (F32, BF16 or F16), to the nearest and to
// even between two. It is the tensor itself where that is its format. A number that would become infinite is an
// error of Each.
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
		return nil, fmt.Errorf("%s is no format that floats are rounded to", d)
	}
	for _, v := range values {
		h := narrow(v)
		if h&0x7fff == infinity && !math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("%g is beyond what %s can hold: choose a wider format", v, d)
		}
		dst = le.AppendUint16(dst, h)
	}
	return dst, nil
}

// toFloat16 rounds to an IEEE half, to nearest, ties to even; beyond the largest it is infinite. A NaN stays one.
func toFloat16(v float32) uint16 {
	b := math.Float32bits(v)
	sign, exponent, fraction := uint16(b>>16)&0x8000, int(b>>23&255)-127+15, b&0x7fffff
	switch {
	case v != v:
		return sign | 0x7e00 | uint16(fraction>>13)
	case exponent >= 31:
		return sign | 0x7c00
	case exponent < -10:
		return sign // less than half of the smallest
	}
	shift := 13
	if exponent <= 0 { // subnormal: the leading one becomes a digit
		fraction |= 0x800000
		shift += 1 - exponent
		exponent = 0
	}
	h := uint32(exponent)<<10 + fraction>>shift
	rest, half := fraction&(1<<shift-1), uint32(1)<<(shift-1)
	if rest > half || rest == half && h&1 == 1 {
		h++ // may carry into the exponent, as it should
	}
	return sign | uint16(h)
}
