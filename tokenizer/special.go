package tokenizer

import (
	"bytes"
	"slices"
	"sort"
	"strings"
)

// An addedToken stands beside the ordinary vocabulary: no text is merged into it.
type addedToken struct {
	content string // not empty
	id      int32
	special bool // decodes to nothing
}

// Names under which tokenizer.json files have the three roles. The format has no
// field for a role, so the first name that is there counts. GPT-2 uses one token
// for both ends of a text.
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

// WithPAD returns a tokenizer that has PAD: t itself, or a copy in which it has
// a new id at the end of the vocabulary. This is what the reference does to
// Llama 3's tokenizer, whose PAD becomes 128256.
func (t *Tokenizer) WithPAD() *Tokenizer {
	if t.pad != None {
		return t
	}
	s := t.spec()
	s.added = append(s.added, addedToken{LiteralPAD, int32(len(t.kind)), true})
	with, err := build(s)
	if err != nil {
		panic(err) // t was built from the same tokens
	}
	with.takes = t.takes
	return with
}

// WithRoles returns a tokenizer in which ids that have a token play the roles
// that t knows nobody for: t itself, or a copy. Files name no roles, so those of
// tokens with unusual names are in the configuration of their model alone.
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
			c := *t // which shares the tables
			with = &c
		}
		*r.role(with) = r.id
	}
	return with
}

// TakingLiterals returns t but for this: where a text has the literal of a special
// token ([PAD] and others that a file adds among them), Encode takes it as that
// token, which is what the reference's tokenizer does to any text. The two share
// their tables and write the same file.
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

// literals finds added tokens in text.
type literals struct {
	sorted []addedToken // by content
	first  string       // the bytes they begin with
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

// find returns the first literal in text, the longest where several begin at one
// place. size 0 means that there is none, and at is the length of the text.
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
