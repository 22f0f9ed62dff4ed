package corpus

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// A spool keeps bytes in the order in which they are written: the first ones in memory, up to a limit, the others in a
// temporary file. The file has no name where the system allows that, so it ends with the process. After the writing, a spool
// is safe for concurrent use.
type spool struct {
	limit  int64    // of the bytes in memory, a multiple of spoolChunk
	dir    string   // of the temporary file; "": the system's
	chunks [][]byte // spoolChunk bytes each, but the last
	inFile int64    // bytes in the file
	file   *os.File // nil: not needed yet
	named  bool     // the file still has its name
}

// spoolChunk is the largest number of bytes in one slice of memory. It is a multiple of the size of an id.
const spoolChunk = 1 << 20

func (s *spool) size() int64 {
	if n := len(s.chunks); n > 0 {
		return int64(n-1)*spoolChunk + int64(len(s.chunks[n-1])) + s.inFile
	}
	return s.inFile
}

// Write appends p.
func (s *spool) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) && s.inFile == 0 {
		last := len(s.chunks) - 1
		if last < 0 || len(s.chunks[last]) == spoolChunk {
			if int64(len(s.chunks))*spoolChunk >= s.limit {
				break
			}
			var chunk []byte // the first one grows: most corpora are small
			if last >= 0 {
				chunk = make([]byte, 0, spoolChunk)
			}
			s.chunks = append(s.chunks, chunk)
			last++
		}
		n := min(len(p)-done, spoolChunk-len(s.chunks[last]))
		s.chunks[last] = append(s.chunks[last], p[done:done+n]...)
		done += n
	}
	if done == len(p) {
		return done, nil
	}
	if s.file == nil {
		if err := s.open(); err != nil {
			return done, err
		}
	}
	n, err := s.file.WriteAt(p[done:], s.inFile)
	s.inFile += int64(n)
	if err != nil {
		err = fmt.Errorf("a temporary file for text that does not fit into memory: %w; TMPDIR chooses another directory", err)
	}
	return done + n, err
}

func (s *spool) open() (err error) {
	if s.file, err = os.CreateTemp(s.dir, ".calm-*.tmp"); err != nil {
		return fmt.Errorf("a temporary file for text that does not fit into memory: %w; TMPDIR chooses another directory", err)
	}
	s.named = os.Remove(s.file.Name()) != nil // Windows keeps the name of an open file
	return nil
}

// ReadAt implements [io.ReaderAt].
func (s *spool) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 {
		return 0, errors.New("spool: negative offset")
	}
	n := 0
	for n < len(p) {
		part := s.view(at+int64(n), len(p)-n)
		if part == nil {
			break
		}
		n += copy(p[n:], part)
	}
	inMemory := s.size() - s.inFile
	if n == len(p) || s.inFile == 0 {
		if n < len(p) {
			return n, io.EOF
		}
		return n, nil
	}
	m, err := s.file.ReadAt(p[n:min(int64(len(p)), int64(n)+max(0, s.size()-at-int64(n)))], at+int64(n)-inMemory)
	if n += m; err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// view returns bytes from at on without a copy: at most want, at least one; nil where they are not in memory.
func (s *spool) view(at int64, want int) []byte {
	i := at / spoolChunk
	if i >= int64(len(s.chunks)) {
		return nil
	}
	chunk := s.chunks[i]
	from := int(at % spoolChunk)
	if from >= len(chunk) {
		return nil
	}
	return chunk[from:min(from+want, len(chunk))]
}

// truncate removes what was written after the first n bytes.
func (s *spool) truncate(n int64) {
	inMemory := s.size() - s.inFile
	if n >= inMemory {
		s.inFile = n - inMemory
		return
	}
	s.inFile = 0
	full := n / spoolChunk
	if rest := n % spoolChunk; rest > 0 {
		s.chunks[full] = s.chunks[full][:rest]
		full++
	}
	s.chunks = s.chunks[:full]
}

// Close gives the memory and the file back.
func (s *spool) Close() error {
	s.chunks, s.inFile = nil, 0
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.named {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	s.file = nil
	return err
}
