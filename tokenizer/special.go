package tokenizer

import (
	"bytes"
	"slices"
	"sort"
	"strings"
)

// An addedToken is a token outside the ordinary vocabulary: merging never makes it.
type addedToken struct {
	content string // not empty
	id      int32
	special bool // decodes to nothing
}

// Usual names of BOS, EOS and PAD in tokenizer.json files. The format has no field
// for these roles, so the first of the names that a file has is taken. GPT-2 uses
// one token for both BOS and EOS.
var (
	namesBOS = []string{LiteralBOS, "<|bos|>", "<s>", "<bos>", "[BOS]", "<|startoftext|>", "<|endoftext|>"}
	namesEOS = []string{LiteralEOS, "<|eos|>", "</s>", "<eos>", "[EOS]", "<|endoftext|>"}
	namesPAD = []string{LiteralPAD, "<|pad|>", "<pad>", "<|padding|>", "<|finetune_right_pad_id|>"}
)

func (t *Tokenizer) assignRoles() {
	role := func(names []string) int32 {
		for _, name := range names {
			if id := t.SpecialID(name); id != None {
				return id
			}
		}
		return None
	}
	t.bos, t.eos, t.pad = role(namesBOS), role(namesEOS), role(namesPAD)
}

// WithPAD returns a tokenizer that has PAD: t itself, or a copy where PAD has a new
// id at the end of the vocabulary. The reference does the same to Llama 3's
// tokenizer, whose PAD becomes 128256.
func (t *Tokenizer) WithPAD() *Tokenizer {
	if t.pad != None {
		return t
	}
	s := t.spec()
	s.added = append(s.added, addedToken{LiteralPAD, int32(len(t.kind)), true})
	with, err := build(s)
	if err != nil {
		panic(err) // impossible: t was built from the same tokens
	}
	with.takes = t.takes
	return with
}

// WithRoles returns t with the given ids as BOS, EOS and PAD, where t lacks them and
// the ids have a token. It returns t itself if nothing changes, else a copy. It is
// for tokens with unusual names: only their model's configuration gives their roles.
func (t *Tokenizer) WithRoles(bos, eos, pad int32) *Tokenizer {
	with := t
	for _, r := range []struct {
		id   int32
		role func(*Tokenizer) *int32
	}{
		{bos, func(t *Tokenizer) *int32 { return &t.bos }},
		{eos, func(t *Tokenizer) *int32 { return &t.eos }},
		{pad, func(t *Tokenizer) *int32 { return &t.pad }},
	} {
		if *r.role(t) != None || !t.valid(r.id) {
			continue
		}
		if with == t {
			c := *t // shares the tables with t
			with = &c
		}
		*r.role(with) = r.id
	}
	return with
}

// TakingLiterals returns a copy of t whose Encode turns the literal of an added
// token in a text, such as "[PAD]", into that token. The reference's tokenizer
// does so with any text. The copy shares the tables of t and writes the same file.
func (t *Tokenizer) TakingLiterals() *Tokenizer {
	with := *t
	with.takes = true
	return &with
}

// spec returns what t was built from.
func (t *Tokenizer) spec() spec {
	tokens := make([][]byte, len(t.kind))
	for id := range tokens {
		if t.kind[id] == kindText {
			tokens[id] = t.bytes(int32(id))
		}
	}
	return spec{tokens, t.merges, slices.Clone(t.added), t.split, t.whole != nil, t.template}
}

// literals finds the literals of added tokens in text.
type literals struct {
	sorted []addedToken // by content
	first  string       // the set of their first bytes
}

func newLiterals(added []addedToken) literals {
	l := literals{sorted: slices.Clone(added)}
	slices.SortFunc(l.sorted, func(a, b addedToken) int { return strings.Compare(a.content, b.content) })
	var begins [256]bool
	for _, a := range l.sorted {
		begins[a.content[0]] = true
	}
	var first []byte
	for b, is := range begins {
		if is {
			first = append(first, byte(b))
		}
	}
	l.first = string(first)
	return l
}

// find returns the place, the length and the id of the first literal in text; of
// several that begin at the same place, the longest. Where there is none, size is 0
// and at is the length of text.
func (l *literals) find(text []byte) (at, size int, id int32) {
	for at < len(text) {
		next := l.indexFirst(text[at:])
		if next < 0 {
			break
		}
		at += next
		if size, id = l.match(text[at:]); size > 0 {
			return at, size, id
		}
		at++
	}
	return len(text), 0, None
}

func (l *literals) indexFirst(text []byte) int {
	if len(l.first) == 1 {
		return bytes.IndexByte(text, l.first[0])
	}
	for i, c := range text {
		if strings.IndexByte(l.first, c) >= 0 {
			return i
		}
	}
	return -1
}

// match returns the longest literal that text begins with, narrowing the sorted
// literals byte by byte.
func (l *literals) match(text []byte) (size int, id int32) {
	id = None
	some := l.sorted
	for n, c := range text {
		some = some[sort.Search(len(some), func(i int) bool { return len(some[i].content) > n && some[i].content[n] >= c }):]
		some = some[:sort.Search(len(some), func(i int) bool { return some[i].content[n] > c })]
		if len(some) == 0 {
			break
		}
		if len(some[0].content) == n+1 { // the shortest comes first
			size, id = n+1, some[0].id
		}
	}
	return size, id
}
