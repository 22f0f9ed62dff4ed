package corpus

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	parquetformat "github.com/parquet-go/parquet-go/format"
)

// The encodings of strings are those of https://parquet.apache.org/docs/file-format/data-pages/encodings/.

// plainDictionary is the encoding PLAIN_DICTIONARY, in which older programs write dictionaries and pages of indices.
const plainDictionary parquetformat.Encoding = 2

// texts reads the strings of a page, one after another. Each has memory of its own.
type texts interface{ next() ([]byte, error) }

// values returns the strings of a data page, which in reads.
func (p *columnPages) values(h pageHeader, in *bufio.Reader) (texts, error) {
	switch e := parquetformat.Encoding(h.encoding); e {
	case parquetformat.Plain:
		return &plainTexts{in}, nil
	case plainDictionary, parquetformat.RLEDictionary:
		width, err := in.ReadByte()
		if errors.Is(err, io.EOF) { // all values are null
			return &plainTexts{in}, nil
		}
		if err != nil {
			return nil, err
		}
		if width > 32 {
			return nil, fmt.Errorf("indices of %d bits", width)
		}
		return &dictionaryTexts{&p.dict, hybrid{in: in, width: int(width)}}, nil
	case parquetformat.DeltaLengthByteArray:
		lengths, err := readDeltas(in, h.values)
		return &deltaTexts{in: in, suffixes: lengths}, err
	case parquetformat.DeltaByteArray:
		prefixes, err := readDeltas(in, h.values)
		if err != nil {
			return nil, err
		}
		suffixes, err := readDeltas(in, h.values)
		if err == nil && len(prefixes) != len(suffixes) {
			err = fmt.Errorf("%d prefixes of %d values", len(prefixes), len(suffixes))
		}
		return &deltaTexts{in, prefixes, suffixes, nil}, err
	default:
		return nil, fmt.Errorf("strings in the encoding %v", e)
	}
}

// plainTexts are lengths of four bytes, each followed by as many bytes.
type plainTexts struct{ in *bufio.Reader }

func (t *plainTexts) next() ([]byte, error) {
	n, err := readUint32(t.in)
	if err != nil {
		return nil, err
	}
	return readText(t.in, nil, int64(n))
}

func readUint32(in io.Reader) (uint32, error) {
	var b [4]byte
	_, err := io.ReadFull(in, b[:])
	return binary.LittleEndian.Uint32(b[:]), err
}

// readText returns prefix and the next n bytes. Its memory grows with what is read, not with n.
func readText(in io.Reader, prefix []byte, n int64) ([]byte, error) {
	size := int64(len(prefix)) + n
	if size > maxLine {
		return nil, fmt.Errorf("a text of %d bytes; calm reads up to %d from a row", size, maxLine)
	}
	text := make([]byte, min(size, int64(len(prefix))+1<<20))
	for have := copy(text, prefix); ; {
		if _, err := io.ReadFull(in, text[have:]); err != nil {
			return nil, err
		}
		if have = len(text); int64(have) == size {
			return text, nil
		}
		text = append(text, make([]byte, min(int64(have), size-int64(have)))...)
	}
}

// A dictionary holds the strings that indices stand for.
type dictionary struct {
	data   []byte   // in the plain encoding
	begins []uint32 // where each begins
}

// maxDictionary is the largest size of a dictionary in bytes. Usual programs write up to 1 MiB.
const maxDictionary = 128 << 20

// read reads a dictionary of n strings, which has size bytes.
func (d *dictionary) read(in io.Reader, size, n int64) (err error) {
	if size > maxDictionary {
		return fmt.Errorf("a dictionary of %d bytes; calm reads up to %d", size, maxDictionary)
	}
	if d.data, err = io.ReadAll(in); err != nil {
		return err
	}
	d.begins = d.begins[:0]
	for at := uint64(0); n > 0; n-- {
		if at+4 > uint64(len(d.data)) {
			return io.ErrUnexpectedEOF
		}
		d.begins = append(d.begins, uint32(at))
		if at += 4 + uint64(binary.LittleEndian.Uint32(d.data[at:])); at > uint64(len(d.data)) {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// dictionaryTexts are indices into a dictionary.
type dictionaryTexts struct {
	dict    *dictionary
	indices hybrid
}

func (t *dictionaryTexts) next() ([]byte, error) {
	i, err := t.indices.next()
	if err != nil {
		return nil, err
	}
	if int64(i) >= int64(len(t.dict.begins)) {
		return nil, fmt.Errorf("index %d into a dictionary of %d", i, len(t.dict.begins))
	}
	b := t.dict.data[t.dict.begins[i]:]
	n := binary.LittleEndian.Uint32(b)
	return append([]byte{}, b[4:4+n]...), nil
}

// deltaTexts are all lengths, then all bytes. With prefixes, a string begins with as many bytes of the string before.
type deltaTexts struct {
	in       *bufio.Reader
	prefixes []int32 // nil: there are none
	suffixes []int32
	last     []byte
}

func (t *deltaTexts) next() ([]byte, error) {
	if len(t.suffixes) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	var prefix []byte
	if t.prefixes != nil {
		if int(t.prefixes[0]) > len(t.last) {
			return nil, fmt.Errorf("a prefix of %d bytes of a text of %d", t.prefixes[0], len(t.last))
		}
		prefix = t.last[:t.prefixes[0]]
		t.prefixes = t.prefixes[1:]
	}
	text, err := readText(t.in, prefix, int64(t.suffixes[0]))
	t.suffixes = t.suffixes[1:]
	t.last = text
	return text, err
}

// A hybrid reads numbers of a fixed width in bits: runs of the same number, and packed groups of eight.
type hybrid struct {
	in     io.ByteReader
	width  int
	left   uint64 // numbers left of the run or the groups
	packed bool
	same   uint32 // of the run
	bits   bitReader
}

func (h *hybrid) next() (uint32, error) {
	for h.left == 0 {
		n, err := binary.ReadUvarint(h.in)
		if err != nil {
			return 0, err
		}
		if h.packed = n&1 == 1; h.packed {
			h.left, h.bits = n>>1*8, bitReader{in: h.in}
		} else {
			h.left, h.bits = n>>1, bitReader{in: h.in}
			if h.same, err = h.bits.next((h.width + 7) / 8 * 8); err != nil {
				return 0, err
			}
		}
		if n > 1<<32 {
			return 0, fmt.Errorf("a run of %d values", n>>1)
		}
	}
	h.left--
	if !h.packed {
		return h.same, nil
	}
	return h.bits.next(h.width)
}

// A bitReader reads numbers, the lowest bits first.
type bitReader struct {
	in  io.ByteReader
	acc uint64
	n   int // bits in acc
}

// next reads a number of at most 32 bits.
func (b *bitReader) next(width int) (uint32, error) {
	for b.n < width {
		c, err := b.in.ReadByte()
		if err != nil {
			return 0, err
		}
		b.acc |= uint64(c) << b.n
		b.n += 8
	}
	x := uint32(b.acc & (1<<width - 1))
	b.acc >>= width
	b.n -= width
	return x, nil
}

// maxDeltas is the largest number of lengths of a page that are in memory.
const maxDeltas = 16 << 20

// readDeltas reads lengths in the encoding DELTA_BINARY_PACKED, at most that many.
func readDeltas(in *bufio.Reader, most int64) ([]int32, error) {
	var header [3]uint64 // values of a block, miniblocks of a block, values in all
	for i := range header {
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return nil, err
		}
		header[i] = n
	}
	block, minis, count := header[0], header[1], header[2]
	if block == 0 || block > 1<<20 || minis == 0 || minis > 1<<10 || block%minis != 0 || block/minis%8 != 0 {
		return nil, fmt.Errorf("blocks of %d lengths in %d parts", block, minis)
	}
	if count > uint64(min(most, maxDeltas)) {
		return nil, fmt.Errorf("%d lengths in a page of %d values; calm reads up to %d", count, most, maxDeltas)
	}
	last, err := binary.ReadVarint(in)
	if err != nil {
		return nil, err
	}
	lengths := []int32{}
	widths := make([]byte, minis)
	add := func() error {
		if last < 0 || last > maxLine {
			return fmt.Errorf("a length of %d; calm reads up to %d bytes from a row", last, maxLine)
		}
		lengths = append(lengths, int32(last))
		return nil
	}
	if count > 0 {
		if err := add(); err != nil {
			return nil, err
		}
	}
	for uint64(len(lengths)) < count {
		least, err := binary.ReadVarint(in)
		if err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(in, widths); err != nil {
			return nil, err
		}
		for _, width := range widths {
			if uint64(len(lengths)) == count { // the parts that are not needed have no bytes
				break
			}
			if width > 32 {
				return nil, fmt.Errorf("lengths of %d bits", width)
			}
			bits := bitReader{in: in}
			for range block / minis { // with those that fill the part up
				x, err := bits.next(int(width))
				if err != nil {
					return nil, err
				}
				if uint64(len(lengths)) < count {
					last += least + int64(x)
					if err := add(); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	return lengths, nil
}
