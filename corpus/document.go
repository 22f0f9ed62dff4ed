package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"iter"
)

// A Document is a text and its source, or a part of a text.
type Document struct {
	Text   []byte // UTF-8, but any bytes are accepted; the receiver may keep it but must not change it
	Source string // the file, or a name such as "memory"; used in messages only
	Line   int    // line or row in the file, from 1 on; 0: the whole file
	More   bool   // the text goes on in the next Document of the sequence, which has the same Source and Line

	from, to int64 // bytes of all files read before it, and up to its end; 0 where it is not from a file
	// again reads the whole text another time; nil where it can be read only once. Only the first part of a text has it.
	again func() (io.ReadCloser, error)
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

// hashDomain makes these hashes differ from other hashes of the same text. Any string would do. With this one, the seven
// held-out chapters of the book are 5 % of its text too. A change would change the held-out part of every corpus.
const hashDomain = "calm held-out\n"

// A contentHash computes a number that identifies a text. It decides what is held out. A resumed preparation uses it to check
// that the documents are the same.
type contentHash struct{ hash.Hash }

func newContentHash() contentHash {
	h := contentHash{sha256.New()}
	h.Reset()
	return h
}

// Reset begins another text.
func (h contentHash) Reset() {
	h.Hash.Reset()
	h.Write([]byte(hashDomain))
}

// end returns the number of the text written, and begins another.
func (h contentHash) end() uint64 {
	var sum [sha256.Size]byte
	n := binary.BigEndian.Uint64(h.Sum(sum[:0]))
	h.Reset()
	return n
}
