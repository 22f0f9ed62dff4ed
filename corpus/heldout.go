package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"unicode/utf8"
)

// heldOutOf says that one in 20 documents, or one in 20 bytes of a document, is held out.
const heldOutOf = 20

// errTooSmall is returned where no text of the corpus can be cut in two.
var errTooSmall = errors.New("the corpus is too small to hold a part of it out: it needs 20 different documents, or one with two characters or more")

// A piece is a document, or the head or the tail of a document that is cut.
type piece struct {
	Document
	hash uint64 // of the whole document
	role role
}

// role decides which part of the corpus a piece belongs to.
type role uint8

const (
	whole role = iota // a document; its hash decides
	head              // a document without its last 5 %, for training; its tail follows
	tail              // the last 5 % of a document, held out
	alone             // a document too short to be cut, for training
)

// pieces turns documents into pieces. It cuts them in two if fewer than heldOutOf are different. So it keeps the first
// documents in memory until it has seen that many different ones. All documents must have text.
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

// cutPiece yields the head and the tail of a document, or the document itself if it is too short.
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

// tailStart returns where the tail of a text begins: near 95 % of its length. The best boundary within a fortieth of the text
// and 1 MiB of that place is the beginning of a line; the second best is a space between words. Where there is none, the tail
// begins at the nearest character. It returns 0 for a text with a single character.
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

// lineStart reports whether a line starts at text[at] and begins with an ASCII letter. Every tokenizer cuts there, since no
// pattern of package tokenizer matches a line break followed by a letter. So both sides together have the tokens of the whole.
func lineStart(text []byte, at int) bool {
	c := text[at] | 0x20
	return text[at-1] == '\n' && 'a' <= c && c <= 'z'
}

// beforeSpace reports whether text[at] is a single space between two words. In byte-level BPE it belongs to the second word.
func beforeSpace(text []byte, at int) bool {
	return text[at] == ' ' && !isSpace(text[at-1]) && at+1 < len(text) && !isSpace(text[at+1])
}

func isSpace(c byte) bool { return bytes.IndexByte([]byte(" \t\r\n"), c) >= 0 }

// heldOutUpTo returns the largest hash of the documents to hold out, of n documents. Those with hashes up to it are as close
// to 5 % of n as possible, given that copies of a text stay together. It iterates over the hashes twice: first it counts them
// by their upper 16 bits, then it sorts those of one bucket. So it does not need memory for all hashes.
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
	var before uint64 // the largest hash in the buckets before
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
