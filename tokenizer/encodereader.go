package tokenizer

import (
	"errors"
	"io"
	"unicode/utf8"
)

// MaxWord is the largest length in bytes of a word that [Tokenizer.EncodeReader] and
// package corpus encode as one. They cut a longer word, so that their memory does not
// grow with the text. No text of a human language has such words.
const MaxWord = 256 << 10

// readSize is the number of bytes that EncodeReader holds.
const readSize = 2 * MaxWord

// EncodeReader calls each with the ids of the text that r reads, a part at a time.
// Together they are those that [Tokenizer.AppendEncode] gives for the whole text,
// except that a word longer than [MaxWord] may be cut. A tokenizer that does more
// than cutting text into words (see [Tokenizer.Words]) has a longer text cut where a
// line begins, or else after 2 MaxWord bytes. The next call overwrites the slice.
// EncodeReader returns the first error of r or each.
func (t *Tokenizer) EncodeReader(r io.Reader, each func([]int32) error) error {
	var ids []int32
	longest := 0 // literal that becomes a token
	if t.searches() {
		longest = max(t.raw.longest(), t.normalized.longest())
	}
	buf := make([]byte, readSize+2*longest)
	encode := t.AppendEncode
	for n := 0; ; encode = t.AppendEncodeRest {
		for n < len(buf) {
			m, err := r.Read(buf[n:])
			n += m
			if errors.Is(err, io.EOF) {
				return each(encode(ids[:0], buf[:n]))
			}
			if err != nil {
				return err
			}
		}
		end := t.cutWith(buf, longest)
		ids = encode(ids[:0], buf[:end])
		if err := each(ids); err != nil {
			return err
		}
		n = copy(buf, buf[end:])
	}
}

// cutWith returns a place in text, which is longer than readSize, where it can be cut
// in two for encoding.
func (t *Tokenizer) cutWith(text []byte, longest int) int {
	const tries = 1000
	limit := len(text) - longest // a literal that begins before it is in text as a whole
	cut := lastLine
	if t.words() {
		cut = Cut
	}
	for at, n := cut(text[:limit]), 0; at > 0 && n < tries; at, n = cut(text[:at]), n+1 {
		if longest == 0 || !t.touches(text, at, longest) {
			return at
		}
	}
	if end := t.raw.lastEnd(text, limit); longest > 0 && end > 0 {
		return end
	}
	return Start(text, limit)
}

// lastLine returns the place of the last line in text that begins with an ASCII
// letter, behind a line that does not end with ASCII white space; or 0. White space
// belongs to other words where a text ends than where it goes on.
func lastLine(text []byte) int {
	for i := len(text) - 1; i > 1; i-- {
		if c := text[i] | 0x20; text[i-1] == '\n' && 'a' <= c && c <= 'z' && text[i-2] > ' ' {
			return i
		}
	}
	return 0
}

// touches reports whether a literal lies across text[at], ends before it or begins
// there: whether the token is there may depend on both sides.
func (t *Tokenizer) touches(text []byte, at, longest int) bool {
	for i := max(0, at-longest); i <= at; i++ {
		for _, l := range []*literals{&t.raw, &t.normalized} {
			if found := l.match(text[i:]); found != nil && i+len(found.pattern) >= at {
				return true
			}
		}
	}
	return false
}

// lastEnd returns the end of the last literal that begins in text[:limit], or 0.
func (l *literals) lastEnd(text []byte, limit int) (end int) {
	for {
		at, found := l.find(text[end:])
		if found == nil || end+at >= limit {
			return end
		}
		end += at + len(found.pattern)
	}
}

// Start returns the beginning of the character at text[at], or at itself if the bytes
// there are not UTF-8.
func Start(text []byte, at int) int {
	for i := at; i > 0 && i > at-utf8.UTFMax; i-- {
		if i < len(text) && utf8.RuneStart(text[i]) {
			return i
		}
	}
	return at
}

// longest returns the length of the longest literal.
func (l *literals) longest() (n int) {
	for _, a := range l.sorted {
		n = max(n, len(a.pattern))
	}
	return n
}
