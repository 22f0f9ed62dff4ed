package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
)

// A Document is a text and where it comes from.
type Document struct {
	Text   []byte // UTF-8, though other bytes are taken as they are; belongs to the receiver, who does not change it
	Source string // the file, or a name such as "memory"; only messages show it
	Line   int    // line or row in the file, from 1 on; 0: the whole of it

	from, to int64 // bytes of all files read before and with it; 0 where it comes from none
}

// Texts makes documents of texts for [Tokenize] and [Prepare]. They are numbered from 1 on, as lines of "memory".
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

// String says where the document comes from.
func (d Document) String() string {
	if d.Line == 0 {
		return d.Source
	}
	return fmt.Sprintf("%s:%d", d.Source, d.Line)
}

// upTo returns how many bytes of the files are read when the first n bytes of d are.
func (d Document) upTo(n int) int64 {
	return d.from + int64(float64(d.to-d.from)*float64(n)/float64(len(d.Text)))
}

// hashDomain makes these hashes differ from others of the same text. Any string would do; with this one the seven chapters
// of the book that are held out are 5 % of its text too. Changing it changes what every corpus holds out.
const hashDomain = "calm held-out\n"

// contentHash identifies a document. It decides what is held out, and tells whether a resumed preparation reads the same
// documents.
func contentHash(text []byte) uint64 {
	h := sha256.New()
	h.Write([]byte(hashDomain))
	h.Write(text)
	var sum [sha256.Size]byte
	return binary.BigEndian.Uint64(h.Sum(sum[:0]))
}
