package tokenizer

import (
	"bytes"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An addedToken is a token that is found in a text as a whole, before the text is cut into words.
type addedToken struct {
	content    string // not empty
	id         int32
	special    bool // decodes to nothing
	normalized bool // is looked for in the normalized text
	singleWord bool // only where no character of a word is before or behind it
	lstrip     bool // takes the spaces before it
	rstrip     bool // takes the spaces behind it
	inVocab    bool // model.vocab of the file lists it too
}

// literals finds added tokens in text.
type literals struct {
	sorted  []literal // by pattern
	begins  [256]bool // their first bytes
	only    int       // the first byte, if all have the same; else -1
	pairs   []uint64  // the set of their first two bytes, 65,536 bits
	regular bool      // one of them is not special
}

type literal struct {
	pattern string
	*addedToken
}

// newLiterals returns the literals with the given patterns. Of tokens with the same pattern, special ones come first, then
// the first of the list.
func newLiterals(all []literal) literals {
	l := literals{only: -1}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b literal) int {
		if c := strings.Compare(a.pattern, b.pattern); c != 0 || a.special == b.special {
			return c
		} else if a.special {
			return -1
		}
		return 1
	})
	l.sorted = slices.CompactFunc(all, func(a, b literal) bool { return a.pattern == b.pattern })
	if len(l.sorted) == 0 {
		return l
	}
	l.pairs = make([]uint64, 1<<16/64)
	l.only = int(l.sorted[0].pattern[0])
	for _, a := range l.sorted {
		l.regular = l.regular || !a.special
		first := a.pattern[0]
		l.begins[first] = true
		if int(first) != l.only {
			l.only = -1
		}
		if len(a.pattern) > 1 {
			l.addPair(first, a.pattern[1])
			continue
		}
		for second := range 256 {
			l.addPair(first, byte(second))
		}
	}
	return l
}

func (l *literals) addPair(first, second byte) {
	i := int(first)<<8 | int(second)
	l.pairs[i>>6] |= 1 << (i & 63)
}

// wanted reports whether a text has to be searched. If specials is false, literals of special tokens are ordinary text.
func (l *literals) wanted(specials bool) bool { return l.regular || specials && len(l.sorted) > 0 }

// find returns the place of the first literal in text and the literal; of several that begin at the same place, the longest.
// Where there is none, it returns the length of text and nil.
func (l *literals) find(text []byte) (at int, found *literal) {
	for at < len(text) {
		next := l.indexFirst(text[at:])
		if next < 0 {
			break
		}
		at += next
		if found = l.match(text[at:]); found != nil {
			return at, found
		}
		at++
	}
	return len(text), nil
}

// indexFirst returns the first place where a literal may begin, or -1.
func (l *literals) indexFirst(text []byte) int {
	if l.only >= 0 {
		return bytes.IndexByte(text, byte(l.only))
	}
	for i, c := range text {
		if l.begins[c] {
			return i
		}
	}
	return -1
}

// match returns the longest literal that text begins with, or nil, narrowing the sorted literals byte by byte.
func (l *literals) match(text []byte) (found *literal) {
	if len(l.sorted) == 0 {
		return nil
	}
	if len(text) > 1 {
		if i := int(text[0])<<8 | int(text[1]); l.pairs[i>>6]>>(i&63)&1 == 0 {
			return nil
		}
	}
	some := l.sorted
	for n, c := range text {
		some = some[sort.Search(len(some), func(i int) bool { return len(some[i].pattern) > n && some[i].pattern[n] >= c }):]
		some = some[:sort.Search(len(some), func(i int) bool { return some[i].pattern[n] > c })]
		if len(some) == 0 {
			break
		}
		if len(some[0].pattern) == n+1 { // the shortest comes first
			found = &some[0]
		}
	}
	return found
}

// A cutter cuts a text at the literals in it, as Hugging Face's library does: the matches do not overlap, and a match that
// does not count still hides what it covers.
type cutter struct {
	*literals
	text     []byte
	specials bool // special tokens count
	read     int  // where the search goes on
	begin    int  // of the text that was not returned yet
}

// next returns the text before the next token, and the token; nil for the last piece of the text.
func (c *cutter) next() (piece []byte, at int, found *literal) {
	for {
		start, found := c.find(c.text[c.read:])
		if found == nil {
			piece, at, c.read = c.text[c.begin:], c.begin, len(c.text)
			c.begin = len(c.text)
			return piece, at, nil
		}
		start += c.read
		end := start + len(found.pattern)
		c.read = end
		if found.special && !c.specials || found.singleWord && (endsWord(c.text[:start]) || startsWord(c.text[end:])) {
			continue
		}
		if found.lstrip {
			start = max(len(bytes.TrimRightFunc(c.text[:start], unicode.IsSpace)), c.begin)
		}
		if found.rstrip {
			end = len(c.text) - len(bytes.TrimLeftFunc(c.text[end:], unicode.IsSpace))
		}
		if start >= end { // a token with rstrip took this space
			c.begin = end
			continue
		}
		at = c.begin
		if c.begin < start {
			piece = c.text[c.begin:start]
		}
		c.begin = end
		return piece, at, found
	}
}

// endsWord reports whether a text ends with a character of a word.
func endsWord(text []byte) bool {
	r, n := utf8.DecodeLastRune(text)
	return n > 0 && isWord(r)
}

// startsWord reports whether a text begins with a character of a word.
func startsWord(text []byte) bool {
	r, n := utf8.DecodeRune(text)
	return n > 0 && isWord(r)
}

// isWord reports whether r is in \w of regular expressions over Unicode (Unicode Technical Standard 18, annex C).
func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.In(r, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
