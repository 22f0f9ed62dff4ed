package corpus

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
)

// A builder writes the tokens of pieces in a shard's format, and collects the tables that follow the tokens.
type builder struct {
	w     io.Writer
	width int // bytes of an id

	at   extent // everything written
	done extent // up to the end of the last document

	buf []byte
}

// An extent is the content of a shard up to a place.
type extent struct {
	tokens  int64
	records []byte
	sums    []byte // checksums of the full chunks
	crc     uint32 // checksum of the chunk being written
	inChunk int    // bytes in that chunk
	begun   int64  // tokens before the piece being written
}

func newBuilder(w io.Writer, vocab int) *builder {
	return &builder{w: w, width: idWidth(vocab)}
}

// add writes tokens of a piece. After the last of them, end must be called.
func (b *builder) add(ids []int32) error {
	buf := slices.Grow(b.buf[:0], len(ids)*b.width)[:len(ids)*b.width]
	for i, id := range ids {
		if b.width == 2 {
			binary.LittleEndian.PutUint16(buf[2*i:], uint16(id))
		} else {
			binary.LittleEndian.PutUint32(buf[4*i:], uint32(id))
		}
	}
	b.buf = buf
	b.at.tokens += int64(len(ids))
	for rest := b.buf; len(rest) > 0; {
		n := min(len(rest), chunkSize-b.at.inChunk)
		b.at.crc = crc32.Update(b.at.crc, castagnoli, rest[:n])
		b.at.inChunk += n
		rest = rest[n:]
		if b.at.inChunk == chunkSize {
			b.at.sums = binary.LittleEndian.AppendUint32(b.at.sums, b.at.crc)
			b.at.crc, b.at.inChunk = 0, 0
		}
	}
	_, err := b.w.Write(b.buf)
	return err
}

// end ends a piece. A shard may end after it, unless it is a head, which must be followed by its tail.
func (b *builder) end(p piece) {
	b.at.records = appendRecord(b.at.records, record{p.hash, b.at.tokens - b.at.begun, p.role})
	b.at.begun = b.at.tokens
	if p.role != head {
		b.done = b.at
	}
}

// takeRecords returns the records of the pieces that have ended since the last call. It is for tokens that are not written as
// a file: a builder that it is called on has no tables.
func (b *builder) takeRecords() []byte {
	records := b.at.records
	b.at.records, b.at.sums = records[:0], nil
	return records
}

// tables returns records and checksums in a file's format, up to the end of the last document.
func (b *builder) tables() (records, sums []byte) {
	records, sums = b.done.records, b.done.sums
	if b.done.inChunk > 0 {
		sums = binary.LittleEndian.AppendUint32(sums[:len(sums):len(sums)], b.done.crc)
	}
	return records, sums
}
