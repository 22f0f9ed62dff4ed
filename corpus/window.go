package corpus

import "io"

// A window reads a section of a file, or of a spool, and keeps what it read last. So many short reads one after another are
// few reads of the file, and a file that becomes shorter is an error; memory that is mapped would be a fault. A window is not
// safe for concurrent use.
type window struct {
	r     io.ReaderAt
	begin int64 // where the section begins
	size  int64 // of the section, in bytes

	buf  []byte // of windowSize bytes, once something was read
	from int64  // where the bytes in buf begin, in the section
	n    int    // number of bytes in buf
}

const (
	windowSize = 64 << 10 // the largest read
	windowStep = 4 << 10  // the smallest read
)

// at returns bytes from off on, which is in the section: at least least bytes, at most want. least is at most windowStep. The
// next call overwrites them.
func (w *window) at(off int64, least, want int) ([]byte, error) {
	want = int(min(int64(want), w.size-off))
	if s, ok := w.r.(*spool); ok {
		if b := s.view(w.begin+off, want); len(b) >= least {
			return b, nil
		}
	}
	if off < w.from || off+int64(least) > w.from+int64(w.n) {
		if err := w.load(off, want); err != nil {
			return nil, err
		}
	}
	b := w.buf[off-w.from : w.n]
	return b[:min(len(b), want)], nil
}

func (w *window) load(off int64, want int) error {
	if w.buf == nil {
		w.buf = make([]byte, windowSize)
	}
	n := int(min(int64(min(max(want, windowStep), windowSize)), w.size-off))
	w.n = 0
	if m, err := w.r.ReadAt(w.buf[:n], w.begin+off); m < n {
		if err == nil {
			err = io.ErrNoProgress
		}
		return err
	}
	w.from, w.n = off, n
	return nil
}

// all reads the section from its beginning.
func (w *window) all() io.Reader { return io.NewSectionReader(w.r, w.begin, w.size) }
