package tokenizer

import "unicode/utf8"

// A Stream decodes ids piece by piece into whole characters. It holds back an
// incomplete UTF-8 sequence until the rest of it comes. Bytes that cannot become
// valid UTF-8 are not held back. A Stream is not safe for concurrent use.
type Stream struct {
	t     *Tokenizer
	held  []byte // fewer than utf8.UTFMax bytes
	begun bool   // the text has begun: see appendToken
}

// NewStream returns a Stream for a new text.
func (t *Tokenizer) NewStream() *Stream {
	return &Stream{t: t, held: make([]byte, 0, utf8.UTFMax)}
}

// Skip takes ids that come before those of Append, such as those of a prompt,
// without their text. Some tokenizers decode the first token of a text otherwise.
func (s *Stream) Skip(ids ...int32) {
	for _, id := range ids {
		s.begun = s.begun || !s.t.IsSpecial(id)
	}
}

// Held returns how many bytes are held back.
func (s *Stream) Held() int { return len(s.held) }

// Append decodes further ids and appends the text that is complete to dst.
func (s *Stream) Append(dst []byte, ids ...int32) []byte {
	begin := len(dst)
	dst = append(dst, s.held...)
	for _, id := range ids {
		dst = s.t.appendToken(dst, id, &s.begun)
	}
	whole := len(dst) - incomplete(dst[begin:])
	s.held = append(s.held[:0], dst[whole:]...)
	return dst[:whole]
}

// Flush appends the bytes held back to dst. The stream can then decode a new text.
func (s *Stream) Flush(dst []byte) []byte {
	dst = append(dst, s.held...)
	s.held, s.begun = s.held[:0], false
	return dst
}

// incomplete returns the length of an incomplete UTF-8 sequence at the end of p, or
// 0.
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
