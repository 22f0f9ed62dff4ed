package corpus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"

	parquetformat "github.com/parquet-go/parquet-go/format"
)

// A pageHeader is the header of a page of Parquet.
type pageHeader struct {
	kind         int64 // parquetformat.PageType
	size         int64 // bytes in the file
	uncompressed int64
	sum          int64 // CRC-32 of the bytes in the file; 0: there is none
	values       int64 // with nulls
	encoding     int64
	levels       int64 // v1: encoding of the definition levels
	repBytes     int64 // v2: bytes of the repetition levels
	defBytes     int64 // v2: bytes of the definition levels
	plain        bool  // v2: the values are not compressed
}

// readPageHeader reads a header. It returns io.EOF where there is none.
func readPageHeader(in *bufio.Reader) (h pageHeader, err error) {
	if _, err := in.Peek(1); err != nil {
		return h, err
	}
	c := &compact{in: in}
	whole := map[int16]*int64{1: &h.kind, 2: &h.uncompressed, 3: &h.size, 4: &h.sum}
	parts := map[int16]map[int16]*int64{
		5: {1: &h.values, 2: &h.encoding, 3: &h.levels},
		7: {1: &h.values, 2: &h.encoding},
		8: {1: &h.values, 4: &h.encoding, 5: &h.defBytes, 6: &h.repBytes},
	}
	err = c.fields(0, func(id int16, kind byte) (bool, error) {
		if to := whole[id]; to != nil && kind == thriftI32 {
			*to, err = c.int()
			return true, err
		}
		part, known := parts[id]
		if !known || kind != thriftStruct {
			return false, nil
		}
		return true, c.fields(1, func(inner int16, kind byte) (bool, error) {
			if id == 8 && inner == 7 && kind == thriftFalse {
				h.plain = true
			}
			to := part[inner]
			if to == nil || kind != thriftI32 {
				return false, nil
			}
			*to, err = c.int()
			return true, err
		})
	})
	if err != nil {
		return h, fmt.Errorf("the header of a page: %w", noEnd(err))
	}
	for name, n := range map[string]int64{"size": h.size, "uncompressed size": h.uncompressed, "number of values": h.values,
		"size of definition levels": h.defBytes, "size of repetition levels": h.repBytes} {
		if n < 0 || n > 1<<31 {
			return h, fmt.Errorf("the header of a page: a %s of %d", name, n)
		}
	}
	return h, nil
}

// columnPages reads the strings of a column chunk, page after page. Its memory does not depend on the sizes of pages, but on
// the size of the largest string, and of the dictionary.
type columnPages struct {
	in       *bufio.Reader // of the chunk
	codec    *pageCodec
	maxLevel int // the definition level of a value that is not null; 0: none is
	dict     dictionary
}

// run calls each with the next n values, nil for null.
func (p *columnPages) run(n int64, each func([]byte) error) error {
	for n > 0 {
		h, err := readPageHeader(p.in)
		if err != nil {
			return noEnd(err)
		}
		sum := crc32.NewIEEE()
		stored := &io.LimitedReader{R: p.in, N: h.size}
		data := io.Reader(stored)
		if h.sum != 0 {
			data = io.TeeReader(stored, sum)
		}
		switch parquetformat.PageType(h.kind) {
		case parquetformat.DictionaryPage:
			err = p.readDictionary(h, data)
		case parquetformat.DataPage, parquetformat.DataPageV2:
			if h.values > n {
				return fmt.Errorf("a page of %d values where the column has %d more", h.values, n)
			}
			n -= h.values
			err = p.page(h, data, each)
		}
		if err != nil {
			return noEnd(err)
		}
		if _, err := io.Copy(io.Discard, data); err != nil { // what the decompressor left
			return err
		}
		if stored.N > 0 {
			return io.ErrUnexpectedEOF
		}
		if h.sum != 0 && uint32(h.sum) != sum.Sum32() {
			return errors.New("a page does not match its checksum")
		}
	}
	return nil
}

func (p *columnPages) readDictionary(h pageHeader, data io.Reader) error {
	in, err := p.codec.open(data, h.size, h.uncompressed)
	if err != nil {
		return err
	}
	if e := parquetformat.Encoding(h.encoding); e != parquetformat.Plain && e != plainDictionary {
		return fmt.Errorf("a dictionary in the encoding %v", e)
	}
	return p.dict.read(in, h.uncompressed, h.values)
}

// page calls each with the values of a data page.
func (p *columnPages) page(h pageHeader, data io.Reader, each func([]byte) error) error {
	var levels *hybrid
	var in *bufio.Reader
	var err error
	if parquetformat.PageType(h.kind) == parquetformat.DataPageV2 {
		if h.repBytes+h.defBytes > h.size || h.repBytes+h.defBytes > h.uncompressed {
			return fmt.Errorf("a page of %d bytes has levels of %d bytes", h.size, h.repBytes+h.defBytes)
		}
		if _, err := io.CopyN(io.Discard, data, h.repBytes); err != nil {
			return err
		}
		if levels, err = p.readLevels(data, h.defBytes); err != nil {
			return err
		}
		codec := p.codec
		if h.plain {
			codec = &pageCodec{}
		}
		skipped := h.repBytes + h.defBytes
		in, err = codec.open(data, h.size-skipped, h.uncompressed-skipped)
	} else if in, err = p.codec.open(data, h.size, h.uncompressed); err == nil && p.maxLevel > 0 {
		if parquetformat.Encoding(h.levels) != parquetformat.RLE {
			return fmt.Errorf("definition levels in the encoding %v, which calm does not read", parquetformat.Encoding(h.levels))
		}
		var n uint32
		if n, err = readUint32(in); err == nil {
			levels, err = p.readLevels(in, int64(n))
		}
	}
	if err != nil {
		return err
	}
	values, err := p.values(h, in)
	if err != nil {
		return err
	}
	for range h.values {
		null := false
		if levels != nil {
			level, err := levels.next()
			if err != nil {
				return err
			}
			null = int(level) < p.maxLevel
		}
		var text []byte
		if !null {
			if text, err = values.next(); err != nil {
				return err
			}
		}
		if err := each(text); err != nil {
			return err
		}
	}
	return nil
}

// maxLevelBytes is the largest size of a page's definition levels.
const maxLevelBytes = 16 << 20

// readLevels reads definition levels of n bytes.
func (p *columnPages) readLevels(in io.Reader, n int64) (*hybrid, error) {
	if n > maxLevelBytes {
		return nil, fmt.Errorf("a page has definition levels of %d bytes", n)
	}
	b, err := io.ReadAll(io.LimitReader(in, n))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) < n {
		return nil, io.ErrUnexpectedEOF
	}
	if p.maxLevel == 0 {
		return nil, nil
	}
	return &hybrid{in: bytes.NewReader(b), width: bits.Len(uint(p.maxLevel))}, nil
}
