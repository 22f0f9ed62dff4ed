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
// except that a word longer than [MaxWord] may be cut. Without a pattern (see
// [Tokenizer.Words]), the text is cut after 2 MaxWord bytes. The next call overwrites
// the slice. EncodeReader returns the first error of r or each.
func (t *Tokenizer) EncodeReader(r io.Reader, each func([]int32) error) error {
	var ids []int32
	longest := 0 // literal that becomes a token
	if t.takes {
		longest = t.literals.longest()
	}
	buf := make([]byte, readSize+2*longest)
	for n := 0; ; {
		for n < len(buf) {
			m, err := r.Read(buf[n:])
			n += m
			if errors.Is(err, io.EOF) {
				return each(t.AppendEncode(ids[:0], buf[:n]))
			}
			if err != nil {
				return err
			}
		}
		end := t.cutWith(buf, longest)
		ids = t.AppendEncode(ids[:0], buf[:end])
		if err := each(ids); err != nil {
			return err
		}
		n = copy(buf, buf[end:])
	}
}

// cutWith returns a place in text, which is longer than readSize, where it can be cut
// in two for encoding. No literal that becomes a token lies across it.
func (t *Tokenizer) cutWith(text []byte, longest int) int {
	limit := len(text) - longest // a literal that begins before it is in text as a whole
	begin := 0                   // behind the last of them
	for longest > 0 {
		at, size, _ := t.literals.find(text[begin:])
		if size == 0 || begin+at >= limit {
			break
		}
		begin += at + size
	}
	if begin < limit && t.Words() {
		if at := Cut(text[begin:limit]); at > 0 {
			return begin + at
		}
	}
	if begin > 0 {
		return begin
	}
	return Start(text, limit)
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
		n = max(n, len(a.content))
	}
	return n
}
