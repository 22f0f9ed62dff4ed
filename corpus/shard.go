package corpus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A shard file, all numbers little endian:
//
//	0    header, 128 bytes (see header)
//	128  tokens, 2 bytes each where the vocabulary has at most 65536 ids, else 4
//	     zeros up to a multiple of 16
//	     records, 16 bytes each (see record)
//	     checksums, CRC-32C of each chunk of tokens, 4 bytes each
//
// The checksums of the header and of everything after the tokens are verified when the file is opened. A chunk of tokens is
// verified when it is first read.
const (
	shardMagic   = "calmshrd"
	shardVersion = 1
	headerSize   = 128
	chunkSize    = 1 << 20 // bytes of tokens under one checksum
	shardEnding  = ".tokens"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func shardName(i int) string { return fmt.Sprintf("%06d%s", i, shardEnding) }

// isShardName reports whether a file is named like a finished or unfinished shard. The extension is not enough: WikiText's
// files are called wiki.train.tokens.
func isShardName(name string) bool {
	number := strings.TrimSuffix(strings.TrimSuffix(name, ".tmp"), shardEnding)
	i, err := strconv.Atoi(number)
	return err == nil && i >= 0 && (name == shardName(i) || name == shardName(i)+".tmp")
}

// idWidth returns the number of bytes of an id.
func idWidth(vocab int) int {
	if vocab <= 1<<16 {
		return 2
	}
	return 4
}

// A header is the beginning of a shard file, 128 bytes:
//
//	0    magic, 8 bytes
//	8    version    uint32
//	12   index      uint32, the shard's place in the corpus
//	16   vocabulary uint32, the number of ids
//	20   table      uint32, CRC-32C of everything after the tokens
//	24   tokens     uint64
//	32   records    uint64
//	40   tokenizer  32 bytes, its fingerprint
//	72   zeros
//	124  CRC-32C of the 124 bytes before
type header struct {
	index     uint32
	vocab     uint32
	table     uint32
	tokens    int64
	records   int64
	tokenizer Fingerprint
}

func (h header) encode() []byte {
	b := make([]byte, headerSize)
	le := binary.LittleEndian
	copy(b, shardMagic)
	le.PutUint32(b[8:], shardVersion)
	le.PutUint32(b[12:], h.index)
	le.PutUint32(b[16:], h.vocab)
	le.PutUint32(b[20:], h.table)
	le.PutUint64(b[24:], uint64(h.tokens))
	le.PutUint64(b[32:], uint64(h.records))
	copy(b[40:], h.tokenizer[:])
	le.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
	return b
}

// decodeHeader reads the header of a file of size bytes, and checks its counts against the size.
func decodeHeader(b []byte, size int64) (header, error) {
	if len(b) < headerSize {
		return header{}, fmt.Errorf("the file ends at byte %d, within the header of %d bytes", len(b), headerSize)
	}
	le := binary.LittleEndian
	if string(b[:8]) != shardMagic {
		return header{}, fmt.Errorf("byte 0: %q is not the magic %q of a token shard", b[:8], shardMagic)
	}
	if v := le.Uint32(b[8:]); v != shardVersion {
		return header{}, fmt.Errorf("byte 8: version %d of the format; this calm reads version %d", v, shardVersion)
	}
	if le.Uint32(b[124:]) != crc32.Checksum(b[:124], castagnoli) {
		return header{}, errors.New("bytes 0 to 124: the header does not match its checksum")
	}
	h := header{
		index:   le.Uint32(b[12:]),
		vocab:   le.Uint32(b[16:]),
		table:   le.Uint32(b[20:]),
		tokens:  int64(le.Uint64(b[24:])),
		records: int64(le.Uint64(b[32:])),
	}
	copy(h.tokenizer[:], b[40:])
	if h.vocab == 0 || h.tokens < 0 || h.tokens > size || h.records < 0 || h.records > size {
		return header{}, fmt.Errorf("bytes 16 to 40: %d ids, %d tokens and %d documents cannot be in a file of %d bytes", h.vocab, h.tokens, h.records, size)
	}
	if end := h.layout().end; end != size {
		return header{}, fmt.Errorf("the file has %d bytes, its header says %d: it is cut off or has been appended to", size, end)
	}
	return h, nil
}

// sections are the offsets in a shard file.
type sections struct{ tokensEnd, records, sums, end int64 }

func (h header) layout() sections {
	var s sections
	bytes := h.tokens * int64(idWidth(int(h.vocab)))
	s.tokensEnd = headerSize + bytes
	s.records = (s.tokensEnd + 15) &^ 15
	s.sums = s.records + h.records*recordSize
	s.end = s.sums + (bytes+chunkSize-1)/chunkSize*4
	return s
}

// A shard holds the tokens of consecutive pieces, in memory or in a file, of which it reads what is asked for. It is safe for
// concurrent use.
type shard struct {
	name  string
	vocab int
	width int    // of an id, in bytes
	sums  []byte // checksums of the chunks of tokens; nil in memory
	good  []bool // by chunk: verified

	mu      sync.Mutex // of the windows
	tokens  window     // ids, little endian
	records window

	closers []io.Closer
}

// openShard opens a shard file and verifies everything except its tokens.
func openShard(path string) (*shard, header, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, header{}, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, header{}, err
	}
	s, h, err := parseShard(path, file, info.Size())
	if err != nil {
		file.Close()
		return nil, header{}, err
	}
	s.closers = append(s.closers, file)
	return s, h, nil
}

// parseShard returns the shard in a file of size bytes, which it reads from r.
func parseShard(name string, r io.ReaderAt, size int64) (*shard, header, error) {
	begin := make([]byte, min(size, headerSize))
	if _, err := r.ReadAt(begin, 0); err != nil && len(begin) == headerSize {
		return nil, header{}, fmt.Errorf("%s: %w", name, err)
	}
	h, err := decodeHeader(begin, size)
	if err != nil {
		return nil, header{}, fmt.Errorf("%s: %w", name, err)
	}
	at := h.layout()
	table := crc32.New(castagnoli)
	if _, err := io.Copy(table, io.NewSectionReader(r, at.tokensEnd, at.end-at.tokensEnd)); err != nil {
		return nil, header{}, fmt.Errorf("%s: %w", name, err)
	}
	if table.Sum32() != h.table {
		return nil, header{}, fmt.Errorf("%s: bytes %d to %d: the table of documents does not match its checksum", name, at.tokensEnd, at.end)
	}
	s := &shard{
		name:    name,
		vocab:   int(h.vocab),
		width:   idWidth(int(h.vocab)),
		tokens:  window{r: r, begin: headerSize, size: at.tokensEnd - headerSize},
		records: window{r: r, begin: at.records, size: at.sums - at.records},
		sums:    make([]byte, at.end-at.sums),
	}
	if _, err := r.ReadAt(s.sums, at.sums); err != nil && !errors.Is(err, io.EOF) {
		return nil, header{}, fmt.Errorf("%s: %w", name, err)
	}
	s.good = make([]bool, len(s.sums)/4)
	left := h.tokens
	for i := range s.count() {
		r, err := s.record(i)
		if err != nil {
			return nil, header{}, err
		}
		if left -= r.tokens; left < 0 {
			break
		}
	}
	if left != 0 {
		return nil, header{}, fmt.Errorf("%s: bytes %d to %d: the documents' lengths do not add up to the %d tokens", name, at.records, at.sums, h.tokens)
	}
	return s, h, nil
}

// hold makes the spool that the tokens were written to the shard's tokens.
func (s *shard) hold(tokens *spool) {
	s.tokens = window{r: tokens, size: tokens.size()}
	s.closers = append(s.closers, tokens)
}

func (s *shard) count() int { return int(s.records.size / recordSize) }

// record reads record i.
func (s *shard) record(i int) (record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.records.at(int64(i)*recordSize, recordSize, recordSize)
	if err != nil {
		return record{}, s.damaged(err)
	}
	return recordAt(b, 0), nil
}

// damaged returns the error for a file that cannot be read any more.
func (s *shard) damaged(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: the file has become shorter since it was opened: prepare the corpus again", s.name)
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

// read fills dst with the ids from token number at on.
func (s *shard) read(dst []int32, at int64) error {
	if len(dst) > 0 && s.tokens.r == nil {
		return errMeasured
	}
	from, to := at*int64(s.width), (at+int64(len(dst)))*int64(s.width)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sums != nil {
		for c := from / chunkSize; c*chunkSize < to; c++ {
			if !s.good[c] {
				if err := s.check(int(c)); err != nil {
					return err
				}
			}
		}
	}
	for len(dst) > 0 {
		b, err := s.tokens.at(from, s.width, len(dst)*s.width)
		if err != nil {
			return s.damaged(err)
		}
		n := len(b) / s.width
		if i := s.decode(dst[:n], b); i >= 0 {
			return s.foreign(from+int64(i*s.width), dst[i])
		}
		dst, from = dst[n:], from+int64(n*s.width)
	}
	return nil
}

// decode reads ids. It returns the index of the first one that is not in the vocabulary, or -1: they are used as indices.
func (s *shard) decode(dst []int32, b []byte) int {
	var over uint32
	if s.width == 2 {
		for i := range dst {
			id := uint32(binary.LittleEndian.Uint16(b[2*i:]))
			dst[i], over = int32(id), max(over, id)
		}
	} else {
		for i := range dst {
			id := binary.LittleEndian.Uint32(b[4*i:])
			dst[i], over = int32(id), max(over, id)
		}
	}
	if over < uint32(s.vocab) {
		return -1
	}
	return slices.IndexFunc(dst, func(id int32) bool { return uint32(id) >= uint32(s.vocab) })
}

// foreign returns the error for an id at a byte of the tokens.
func (s *shard) foreign(at int64, id int32) error {
	return fmt.Errorf("%s: byte %d: id %d in a vocabulary of %d", s.name, headerSize+at, uint32(id), s.vocab)
}

// verify checks a chunk's checksum and ids.
func (s *shard) verify(chunk int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.check(chunk)
}

// check is verify for a caller that holds mu.
func (s *shard) check(chunk int) error {
	from := int64(chunk) * chunkSize
	to := min(from+chunkSize, s.tokens.size)
	var sum uint32
	bad, badID := int64(-1), int32(0)
	for at := from; at < to; {
		b, err := s.tokens.at(at, s.width, int(to-at))
		if err != nil {
			return s.damaged(err)
		}
		sum = crc32.Update(sum, castagnoli, b)
		for i := 0; i < len(b) && bad < 0; i += s.width {
			id := uint32(binary.LittleEndian.Uint16(b[i:]))
			if s.width == 4 {
				id = binary.LittleEndian.Uint32(b[i:])
			}
			if id >= uint32(s.vocab) {
				bad, badID = at+int64(i), int32(id)
			}
		}
		at += int64(len(b))
	}
	if binary.LittleEndian.Uint32(s.sums[4*chunk:]) != sum {
		return fmt.Errorf("%s: bytes %d to %d: the tokens do not match their checksum: the file is damaged; delete the directory and prepare the corpus again", s.name, headerSize+from, headerSize+to)
	}
	if bad >= 0 {
		return s.foreign(bad, badID)
	}
	s.good[chunk] = true
	return nil
}

func (s *shard) close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c.Close())
	}
	s.closers = nil
	return errors.Join(errs...)
}
