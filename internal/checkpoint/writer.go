package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Tensor is a named tensor, row-major. It has either Data or Ints; the other is nil.
type Tensor struct {
	Name  string    // unique in a file
	Shape []int     // its dimensions; empty for a scalar
	Data  []float32 // floats, written as F32
	Ints  []int64   // integers, written as I64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumOf returns the CRC-32C of data as eight digits.
func sumOf(data []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(data, castagnoli)) }

// The header has the CRC-32C of the file. It is computed with noChecksum in place of its eight digits.
const (
	checksumKey    = "calm.crc32c"
	checksumPrefix = `"` + checksumKey + `":"`
	noChecksum     = "00000000"
)

// Encode writes tensors as a safetensors file. The bytes depend only on the tensors and the metadata: I64 tensors come before
// F32, so that both are aligned, and each are sorted by name. The tensors are not copied. The metadata also gets
// "format": "pt", which the reference's loaders need, and a checksum for File.Verify.
func Encode(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	buf := make([]byte, 0, 1<<16)
	streams := make([]Stream, len(tensors))
	for i, t := range tensors {
		if err := t.check(); err != nil {
			return err
		}
		streams[i] = Stream{Name: t.Name, DType: t.dtype(), Shape: t.Shape,
			Each: func(use func([]byte) error) error { return t.chunks(buf, use) }}
	}
	return EncodeStreams(w, streams, metadata)
}

// encodeHeader writes the JSON, with noChecksum, padded with spaces so that the data begins at a multiple of viewAlign.
func encodeHeader(order []Stream, metadata map[string]string) ([]byte, error) {
	strings := map[string]string{"format": "pt"}
	maps.Copy(strings, metadata)
	strings[checksumKey] = noChecksum
	var out bytes.Buffer
	e := headerEncoder{Encoder: jsontext.NewEncoder(&out)}
	e.put(jsontext.BeginObject, jsontext.String(metadataKey))
	if err := json.MarshalEncode(e.Encoder, strings, json.Deterministic(true)); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	offset := int64(0)
	for _, t := range order {
		size, err := t.size()
		if err != nil {
			return nil, err
		}
		e.tensor(t, offset, offset+size)
		if e.err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, e.err)
		}
		offset += size
	}
	e.put(jsontext.EndObject)
	head := bytes.TrimRight(out.Bytes(), "\n")
	for (8+len(head))%viewAlign != 0 {
		head = append(head, ' ')
	}
	if len(head) > maxHeaderBytes {
		return nil, fmt.Errorf("the header of %d tensors takes %d bytes; the format allows %d", len(order), len(head), maxHeaderBytes)
	}
	return head, e.err
}

// headerEncoder writes JSON to a buffer and keeps the first error: names that are not UTF-8 or occur twice.
type headerEncoder struct {
	*jsontext.Encoder
	err error
}

func (e *headerEncoder) put(tokens ...jsontext.Token) {
	for _, t := range tokens {
		e.err = cmp.Or(e.err, e.WriteToken(t))
	}
}

// tensor writes the entry of a tensor with data_offsets [begin, end).
func (e *headerEncoder) tensor(t Stream, begin, end int64) {
	e.put(jsontext.String(t.Name), jsontext.BeginObject, jsontext.String("dtype"), jsontext.String(string(t.DType)),
		jsontext.String("shape"), jsontext.BeginArray)
	for _, n := range t.Shape {
		e.put(jsontext.Int(int64(n)))
	}
	e.put(jsontext.EndArray, jsontext.String("data_offsets"), jsontext.BeginArray, jsontext.Int(begin), jsontext.Int(end),
		jsontext.EndArray, jsontext.EndObject)
}

func (t Tensor) dtype() DType {
	if t.Ints != nil {
		return I64
	}
	return F32
}

func (t Tensor) len() int { return len(t.Data) + len(t.Ints) }

func (t Tensor) check() error {
	if t.Data != nil && t.Ints != nil {
		return fmt.Errorf("tensor %q has both floats and integers", t.Name)
	}
	size, err := Stream{Name: t.Name, DType: t.dtype(), Shape: t.Shape}.size()
	if n := int64(t.len() * t.dtype().Bytes()); err == nil && n != size {
		return fmt.Errorf("tensor %q has shape %v and %d numbers", t.Name, t.Shape, t.len())
	}
	return err
}

// chunks calls use with the tensor's bytes, little endian: the memory itself on a little-endian machine, else converted pieces
// of the size of buf.
func (t Tensor) chunks(buf []byte, use func([]byte) error) error {
	if littleEndian {
		if err := use(bytesOf(t.Data)); err != nil {
			return err
		}
		return use(bytesOf(t.Ints))
	}
	for part := range slices.Chunk(t.Data, cap(buf)/4) {
		buf = buf[:0]
		for _, v := range part {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		if err := use(buf); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(t.Ints, cap(buf)/8) {
		buf = buf[:0]
		for _, v := range part {
			buf = binary.LittleEndian.AppendUint64(buf, uint64(v))
		}
		if err := use(buf); err != nil {
			return err
		}
	}
	return nil
}
