package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"unicode/utf8"
)

// heldOutOf is one in how many documents, or bytes of a document, is held out.
const heldOutOf = 20

// errTooSmall is returned where no text of the corpus can be cut in two.
var errTooSmall = errors.New("the corpus is too small to hold a part of it out: it needs 20 different documents, or one of two characters")

// A piece is a document or one of the two parts of a document that is cut.
type piece struct {
	Document
	hash uint64 // of the whole document
	role role
}

// role says to which part of the corpus a piece belongs.
type role uint8

const (
	whole role = iota // a document; its hash decides
	head              // a document without its last 5 %: for training; a tail follows
	tail              // the last 5 % of the document before: held out
	alone             // a document too short to be cut: for training
)

// pieces prepares documents, which all have text, for holding out: it cuts them if fewer than heldOutOf are different,
// which it knows once it has seen so many.
func pieces(docs iter.Seq2[Document, error]) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		var waiting []piece
		different := map[uint64][]byte{} // the texts, so that copies share one
		for doc, err := range docs {
			if err != nil {
				yield(piece{}, err)
				return
			}
			p := piece{Document: doc, hash: contentHash(doc.Text)}
			if len(different) >= heldOutOf {
				if !yield(p, nil) {
					return
				}
				continue
			}
			if text, ok := different[p.hash]; ok {
				p.Text = text
			} else {
				different[p.hash] = p.Text
			}
			waiting = append(waiting, p)
			if len(different) == heldOutOf {
				for _, p := range waiting {
					if !yield(p, nil) {
						return
					}
				}
				waiting = nil
			}
		}
		for _, p := range waiting {
			if !cutPiece(p, yield) {
				return
			}
		}
	}
}

// cutPiece yields the head and the tail of a document.
func cutPiece(p piece, yield func(piece, error) bool) bool {
	at := tailStart(p.Text)
	if at == 0 {
		p.role = alone
		return yield(p, nil)
	}
	h, t := p, p
	h.to = p.upTo(at)
	t.from = h.to
	h.Text, h.role = p.Text[:at], head
	t.Text, t.role = p.Text[at:], tail
	return yield(h, nil) && yield(t, nil)
}

// tailStart returns where the last 5 % of a text begin. It is the boundary nearest to that place, within a fortieth of the
// text (1 MiB at most), of the best kind that is there: the beginning of a line, else white space, else a character. 0 means
// that the text is a single character.
func tailStart(text []byte) int {
	target := len(text) - (len(text)+heldOutOf-1)/heldOutOf
	reach := min(len(text)/(2*heldOutOf), 1<<20)
	for _, boundary := range []func([]byte, int) bool{lineStart, beforeSpace} {
		for d := 0; d <= reach; d++ {
			for _, at := range [2]int{target - d, target + d} {
				if at > 0 && at < len(text) && boundary(text, at) {
					return at
				}
			}
		}
	}
	for at := target; at > 0; at-- {
		if utf8.RuneStart(text[at]) {
			return at
		}
	}
	for at := target + 1; at < len(text); at++ {
		if utf8.RuneStart(text[at]) {
			return at
		}
	}
	return 0
}

// lineStart reports whether a line that begins with an ASCII letter starts at text[at]. Every pre-tokenizer cuts there (see
// tokenizer: no pattern has a word with a line break before a letter), so both sides give the tokens of the whole.
func lineStart(text []byte, at int) bool {
	c := text[at] | 0x20
	return text[at-1] == '\n' && 'a' <= c && c <= 'z'
}

// beforeSpace reports whether text[at] is a space between two words, which belongs to the second in byte-level BPE.
func beforeSpace(text []byte, at int) bool {
	return text[at] == ' ' && !isSpace(text[at-1]) && at+1 < len(text) && !isSpace(text[at+1])
}

func isSpace(c byte) bool { return bytes.IndexByte([]byte(" \t\r\n"), c) >= 0 }

// heldOutUpTo returns the greatest hash of the documents to hold out: those up to it are as near to 5 % of n as copies of a
// text, which stay together, allow. It iterates twice: first it counts the hashes by their upper 16 bits, then it sorts only
// those of one bucket, so that memory does not grow with all of them.
func heldOutUpTo(hashes iter.Seq[uint64], n int64) (uint64, error) {
	budget := max(1, (n+heldOutOf/2)/heldOutOf)
	counts := make([]int64, 1<<16)
	for h := range hashes {
		counts[h>>48]++
	}
	var below int64 // documents in the buckets before the one that exceeds the budget
	bucket := 0
	for below+counts[bucket] < budget {
		below += counts[bucket]
		bucket++
	}
	var in []uint64
	var before uint64 // the greatest hash in the buckets before
	for h := range hashes {
		if int(h>>48) == bucket {
			in = append(in, h)
		} else if int(h>>48) < bucket {
			before = max(before, h)
		}
	}
	slices.Sort(in)
	last := in[budget-below-1]
	from, to := 0, 0 // the copies of last
	for i, h := range in {
		if h < last {
			from, before = i+1, h
		}
		if h <= last {
			to = i + 1
		}
	}
	with, without := below+int64(to), below+int64(from)
	if without > 0 && (with == n || budget-without < with-budget) {
		return before, nil
	}
	if with == n {
		return 0, fmt.Errorf("all %d documents are the same", n)
	}
	return last, nil
}
