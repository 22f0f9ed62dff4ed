package tokenizer

import "unicode/utf8"

// A Stream decodes ids piece by piece and gives out whole characters only: the
// beginning of a UTF-8 sequence is held back until the rest of it comes. Bytes
// that cannot become valid pass through at once.
type Stream struct {
	t    *Tokenizer
	held []byte // fewer than utf8.UTFMax bytes
}

// NewStream returns a Stream at the beginning of a text.
func (t *Tokenizer) NewStream() *Stream {
	return &Stream{t: t, held: make([]byte, 0, utf8.UTFMax)}
}

// Append appends to dst what ids add to the text, as far as it is certain.
func (s *Stream) Append(dst []byte, ids ...int32) []byte {
	begin := len(dst)
	dst = append(dst, s.held...)
	dst = s.t.AppendDecode(dst, ids)
	whole := len(dst) - incomplete(dst[begin:])
	s.held = append(s.held[:0], dst[whole:]...)
	return dst[:whole]
}

// Flush appends what was held back, and leaves the stream at the beginning of a
// text.
func (s *Stream) Flush(dst []byte) []byte {
	dst = append(dst, s.held...)
	s.held = s.held[:0]
	return dst
}

// incomplete returns how many bytes at the end of p begin a UTF-8 sequence that
// more bytes could complete.
func incomplete(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if tail := p[len(p)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
