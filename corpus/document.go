package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
)

// A Document is a text and its source.
type Document struct {
	Text   []byte // UTF-8, but any bytes are accepted; the receiver may keep it but must not change it
	Source string // the file, or a name such as "memory"; used in messages only
	Line   int    // line or row in the file, from 1 on; 0: the whole file

	from, to int64 // bytes of all files read before it, and up to its end; 0 where it is not from a file
}

// Texts turns texts into documents, for [Tokenize] and [Prepare]. They are numbered from 1 on, as lines of "memory".
func Texts(texts iter.Seq[string]) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		n := 0
		for text := range texts {
			n++
			if !yield(Document{Text: []byte(text), Source: "memory", Line: n}, nil) {
				return
			}
		}
	}
}

// String returns the document's source for messages: "file" or "file:line".
func (d Document) String() string {
	if d.Line == 0 {
		return d.Source
	}
	return fmt.Sprintf("%s:%d", d.Source, d.Line)
}

// upTo returns how many bytes of all files are read when the first n bytes of d's text are.
func (d Document) upTo(n int) int64 {
	return d.from + int64(float64(d.to-d.from)*float64(n)/float64(len(d.Text)))
}

// hashDomain makes these hashes differ from other hashes of the same text. Any string would do. With this one, the seven
// held-out chapters of the book are 5 % of its text too. A change would change the held-out part of every corpus.
const hashDomain = "calm held-out\n"

// contentHash identifies a text. It decides what is held out. A resumed preparation uses it to check that the documents are
// the same.
func contentHash(text []byte) uint64 {
	h := sha256.New()
	h.Write([]byte(hashDomain))
	h.Write(text)
	var sum [sha256.Size]byte
	return binary.BigEndian.Uint64(h.Sum(sum[:0]))
}
