package corpus

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	parquetformat "github.com/parquet-go/parquet-go/format"
)

// A pageCodec decompresses the pages of a column as streams. It is reused for all of them. The zero value is for pages that are
// not compressed.
type pageCodec struct {
	codec  parquetformat.CompressionCodec
	zstd   *zstd.Decoder
	gzip   *gzip.Reader
	brotli *brotli.Reader
	snappy *snappyReader
	out    *bufio.Reader
}

// newPageCodec returns an error for a codec that calm does not read.
func newPageCodec(codec parquetformat.CompressionCodec, column field) (*pageCodec, error) {
	switch codec {
	case parquetformat.Uncompressed, parquetformat.Snappy, parquetformat.Gzip, parquetformat.Brotli, parquetformat.Zstd:
		return &pageCodec{codec: codec}, nil
	case parquetformat.Lz4Raw:
		return nil, fmt.Errorf("the column %q is compressed with LZ4, which calm does not read: write it with zstd, snappy, gzip or brotli", column)
	}
	return nil, fmt.Errorf("the column %q is compressed with %v, which calm does not read: write it with zstd, snappy, gzip or brotli", column, codec)
}

// open returns the content of a page of size bytes in the file, which is at most uncompressed bytes long.
func (c *pageCodec) open(data io.Reader, size, uncompressed int64) (*bufio.Reader, error) {
	content := data
	var err error
	switch {
	case size == 0:
		content = bytes.NewReader(nil)
	case c.codec == parquetformat.Snappy:
		if c.snappy == nil {
			c.snappy = new(snappyReader)
		}
		content, err = c.snappy, c.snappy.reset(data)
	case c.codec == parquetformat.Gzip:
		if c.gzip == nil {
			c.gzip = new(gzip.Reader)
		}
		content, err = c.gzip, c.gzip.Reset(data)
	case c.codec == parquetformat.Brotli:
		if c.brotli == nil {
			c.brotli = new(brotli.Reader)
		}
		content, err = c.brotli, c.brotli.Reset(data)
	case c.codec == parquetformat.Zstd:
		if c.zstd == nil {
			c.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxWindow))
		}
		if err == nil { // no window is larger than the page, unless the program that compressed it did not know the size
			window := uint64(min(max(16<<20, 2*uncompressed), maxWindow))
			content, err = &zstdReader{c.zstd}, c.zstd.ResetWithOptions(data, zstd.WithDecoderMaxWindow(window))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("decompress a page: %w", noEnd(err))
	}
	if c.out == nil {
		c.out = bufio.NewReaderSize(nil, 64<<10)
	}
	c.out.Reset(io.LimitReader(content, uncompressed))
	return c.out, nil
}

func (c *pageCodec) close() {
	if c.zstd != nil {
		c.zstd.Close()
	}
}

// A snappyReader decompresses Snappy's block format (https://github.com/google/snappy/blob/main/format_description.txt) as a
// stream. The library needs the whole block in memory. Programs compress 64 KiB at a time, the library's own encoder 4 MiB, so no
// copy refers further back.
type snappyReader struct {
	in      *bufio.Reader
	left    uint64 // bytes of the content that are not decompressed yet
	literal uint64 // bytes left of a literal
	buf     []byte // what was decompressed last
	read    int    // bytes of buf that are read
}

const (
	snappyBack = 4 << 20  // how far back a copy may refer
	snappyStep = 64 << 10 // about how much is decompressed at a time
)

// reset begins a block.
func (s *snappyReader) reset(in io.Reader) (err error) {
	if s.in == nil {
		s.in = bufio.NewReaderSize(nil, 16<<10)
	}
	s.in.Reset(in)
	s.buf, s.read, s.literal = s.buf[:0], 0, 0
	s.left, err = binary.ReadUvarint(s.in)
	return err
}

// Read implements [io.Reader].
func (s *snappyReader) Read(p []byte) (int, error) {
	if s.read == len(s.buf) {
		if s.left == 0 {
			return 0, io.EOF
		}
		if err := s.decompress(); err != nil {
			return 0, noEnd(err)
		}
	}
	n := copy(p, s.buf[s.read:])
	s.read += n
	return n, nil
}

// decompress adds to buf, of which everything is read.
func (s *snappyReader) decompress() error {
	if len(s.buf) > 2*snappyBack {
		s.buf = s.buf[:copy(s.buf, s.buf[len(s.buf)-snappyBack:])]
		s.read = len(s.buf)
	}
	for s.left > 0 && len(s.buf) < s.read+snappyStep {
		if s.literal == 0 {
			length, back, err := s.tag()
			switch {
			case err != nil:
				return err
			case length > s.left:
				return errSnappy
			case back == 0:
				s.literal = length
			case back > uint64(len(s.buf)):
				return fmt.Errorf("%w, or it refers back more than %d MiB", errSnappy, snappyBack>>20)
			}
			for ; back > 0 && length > 0; length-- {
				s.buf = append(s.buf, s.buf[len(s.buf)-int(back)])
				s.left--
			}
			continue
		}
		n := min(s.literal, snappyStep)
		begin := len(s.buf)
		s.buf = slices.Grow(s.buf, int(n))[:begin+int(n)]
		if _, err := io.ReadFull(s.in, s.buf[begin:]); err != nil {
			return err
		}
		s.literal -= n
		s.left -= n
	}
	return nil
}

var errSnappy = errors.New("the page is not in Snappy's format")

// tag reads the beginning of an element: the length of a literal (back is 0) or of a copy from back bytes before.
func (s *snappyReader) tag() (length, back uint64, err error) {
	tag, err := s.in.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	length = uint64(tag>>2) + 1
	switch tag & 3 {
	case 0:
		if length > 60 {
			length, err = s.number(int(length) - 60)
			length++
		}
		return length, 0, err
	case 1:
		length = uint64(tag>>2&7) + 4
		back, err = s.number(1)
		back |= uint64(tag>>5) << 8
	case 2:
		back, err = s.number(2)
	case 3:
		back, err = s.number(4)
	}
	if err == nil && back == 0 {
		err = errSnappy
	}
	return length, back, err
}

// number reads n bytes, the lowest first.
func (s *snappyReader) number(n int) (x uint64, err error) {
	for i := range n {
		b, err := s.in.ReadByte()
		if err != nil {
			return 0, err
		}
		x |= uint64(b) << (8 * i)
	}
	return x, nil
}
