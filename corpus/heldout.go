package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"unicode/utf8"
)

// heldOutOf says that one in 20 documents, or one in 20 bytes of a document, is held out.
const heldOutOf = 20

// errTooSmall is returned where no text of the corpus can be cut in two.
var errTooSmall = errors.New("the corpus is too small to hold a part of it out: it needs 20 different documents, or one with two characters or more")

// A piece is a document, or the head or the tail of a document that is cut; or a part of these.
type piece struct {
	Document        // More: the piece goes on in the next value
	hash     uint64 // of the whole document; known with the last part of the piece
	role     role
}

// role decides which part of the corpus a piece belongs to.
type role uint8

const (
	whole role = iota // a document; its hash decides
	head              // a document without its last 5 %, for training; its tail follows
	tail              // the last 5 % of a document, held out
	alone             // a document too short to be cut, for training
)

// pieces turns documents into pieces, in parts. It cuts documents in two if fewer than heldOutOf are different. So it keeps the
// first documents until it has seen that many different ones. All documents must have text.
func pieces(docs iter.Seq2[Document, error]) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		early := newEarly()
		defer early.close()
		waiting := true
		hash := newContentHash()
		for doc, err := range inParts(docs) {
			if err == nil && waiting {
				err = early.add(doc)
			}
			if err != nil {
				yield(piece{}, err)
				return
			}
			if !waiting {
				p := piece{Document: doc}
				hash.Write(doc.Text)
				if !doc.More {
					p.hash = hash.end()
				}
				if !yield(p, nil) {
					return
				}
				continue
			}
			if len(early.texts) == heldOutOf {
				if waiting = false; !early.each(yield, yieldWhole) {
					return
				}
				early.close()
			}
		}
		if waiting {
			early.each(yield, yieldCut)
		}
	}
}

// tailNear returns the place near which the tail of a text of size bytes begins, at 95 % of it, and how far from it at most, if
// there is a good boundary: a fortieth of the text, and 1 MiB.
func tailNear(size int64) (target, reach int64) {
	return size - (size+heldOutOf-1)/heldOutOf, min(size/(2*heldOutOf), 1<<20)
}

// cutNear returns the best boundary in text near target. The best one within reach is the beginning of a line; the second best
// is a space between words. Where there is none, it is the nearest character. It returns 0 for a text with a single character.
func cutNear(text []byte, target, reach int) int {
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

// lineStart reports whether a line starts at text[at] and begins with an ASCII letter. Tokenizers cut there, since no pattern of
// package tokenizer matches a line break followed by a letter. So both sides together have the tokens of the whole, except for
// white space before the break with GPT-2's pattern. Prepared corpora have the ids of texts that are cut here.
func lineStart(text []byte, at int) bool { return startsLine(text[at-1], text[at]) }

// startsLine is lineStart for two adjacent bytes.
func startsLine(before, c byte) bool {
	c |= 0x20
	return before == '\n' && 'a' <= c && c <= 'z'
}

// beforeSpace reports whether text[at] is a single space between two words. In byte-level BPE it belongs to the second word.
func beforeSpace(text []byte, at int) bool {
	return text[at] == ' ' && !isSpace(text[at-1]) && at+1 < len(text) && !isSpace(text[at+1])
}

func isSpace(c byte) bool { return bytes.IndexByte([]byte(" \t\r\n"), c) >= 0 }

// heldOutUpTo returns the largest hash of the documents to hold out, of n documents. Those with hashes up to it are as close
// to 5 % of n as possible, given that copies of a text stay together. It iterates over the hashes five times, so that it does
// not need memory for all of them.
func heldOutUpTo(hashes iter.Seq[uint64], n int64) (uint64, error) {
	budget := max(1, (n+heldOutOf/2)/heldOutOf)
	last := smallest(hashes, budget)
	var below, same int64 // documents with smaller hashes, and with this one
	var before uint64     // the largest of the smaller hashes
	for h := range hashes {
		switch {
		case h < last:
			below++
			before = max(before, h)
		case h == last:
			same++
		}
	}
	with := below + same
	if below > 0 && (with == n || budget-below < with-budget) {
		return before, nil
	}
	if with == n {
		return 0, fmt.Errorf("all %d documents are the same", n)
	}
	return last, nil
}

// smallest returns the k-th smallest hash, counted from 1. It finds 16 bits after 16 bits.
func smallest(hashes iter.Seq[uint64], k int64) (found uint64) {
	for shift := 48; shift >= 0; shift -= 16 {
		counts := make([]int64, 1<<16)
		for h := range hashes {
			if h>>(shift+16) == found {
				counts[h>>shift&0xffff]++
			}
		}
		bits := 0
		for bits < len(counts)-1 && k > counts[bits] {
			k -= counts[bits]
			bits++
		}
		found = found<<16 | uint64(bits)
	}
	return found
}
