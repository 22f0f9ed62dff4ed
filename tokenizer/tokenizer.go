package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// Literals of the special tokens in tokenizers that this package makes: Llama 3's
// names, and the padding token that the CALM reference adds.
const (
	LiteralBOS = "<|begin_of_text|>"
	LiteralEOS = "<|end_of_text|>"
	LiteralPAD = "[PAD]"
)

// None is the id of a special token that a tokenizer does not have.
const None int32 = -1

// A Tokenizer turns text into ids and back. It is immutable and safe for concurrent
// use.
type Tokenizer struct {
	text   []byte      // bytes of all tokens, one after another
	start  []uint32    // [V+1] where the token of each id begins in text
	kind   []tokenKind // [V]
	byteID [256]int32  // ids of the tokens of one byte, by byte

	merges []merge     // by rank
	pairs  pairTable   // merges by pair
	whole  *tokenTable // all tokens, if a word that is a token is not merged; else nil
	split  split

	added    []addedToken // by id
	literals literals     // of added

	bos, eos, pad int32
	template      bool // the saved file makes Hugging Face's encoder prepend BOS
	takes         bool // Encode turns literals into added tokens

	encoders *pool
}

type tokenKind uint8

const (
	kindNone    tokenKind = iota // an id without a token
	kindText                     // an ordinary token
	kindAdded                    // never made by merging; decodes to its literal
	kindSpecial                  // never made by merging; decodes to nothing
)

// A merge joins two adjacent tokens into one.
type merge struct{ left, right, id int32 }

// spec is what a Tokenizer is made from.
type spec struct {
	tokens   [][]byte // by id; nil where an id has no ordinary token
	merges   []merge  // by rank
	added    []addedToken
	split    split
	whole    bool // a word that is a token becomes that token without merging
	template bool
}

// build checks that every byte has a token and derives the lookup tables.
func build(s spec) (*Tokenizer, error) {
	v := len(s.tokens)
	for _, a := range s.added {
		v = max(v, int(a.id)+1)
	}
	t := &Tokenizer{
		start: make([]uint32, v+1), kind: make([]tokenKind, v),
		merges: s.merges, split: s.split,
		added: s.added, literals: newLiterals(s.added), template: s.template,
		encoders: &pool{},
	}
	contents := make([][]byte, v)
	copy(contents, s.tokens)
	for id, b := range s.tokens {
		if b != nil {
			t.kind[id] = kindText
		}
	}
	for _, a := range s.added {
		contents[a.id], t.kind[a.id] = []byte(a.content), kindAdded
		if a.special {
			t.kind[a.id] = kindSpecial
		}
	}
	for i := range t.byteID {
		t.byteID[i] = None
	}
	for id, b := range contents {
		t.text = append(t.text, b...)
		t.start[id+1] = uint32(len(t.text))
		if len(b) == 1 && t.kind[id] == kindText {
			t.byteID[b[0]] = int32(id)
		}
	}
	for b, id := range t.byteID {
		if id == None {
			return nil, fmt.Errorf("no token for the single byte 0x%02x: some texts could not be encoded", b)
		}
	}
	if s.whole {
		t.whole = newTokenTable(len(s.tokens), t.bytes)
		for id, kind := range t.kind {
			if kind == kindText {
				t.whole.add(int32(id))
			}
		}
	}
	t.pairs = newPairTable(s.merges)
	t.assignRoles()
	fillClasses()
	return t, nil
}

// VocabSize returns the size of the vocabulary, V: the largest id plus one.
func (t *Tokenizer) VocabSize() int { return len(t.kind) }

// BOS returns the id of the token that begins a document, or [None].
func (t *Tokenizer) BOS() int32 { return t.bos }

// EOS returns the id of the token that ends a document, or [None].
func (t *Tokenizer) EOS() int32 { return t.eos }

// PAD returns the id of the token that fills up a patch, or [None].
func (t *Tokenizer) PAD() int32 { return t.pad }

// IsSpecial reports whether id is that of a special token, which decodes to nothing.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return t.valid(id) && t.kind[id] == kindSpecial
}

// Token returns the bytes of a token; for a special token, its literal. It returns
// nil for an id without a token.
func (t *Tokenizer) Token(id int32) []byte {
	if !t.valid(id) {
		return nil
	}
	return append([]byte{}, t.bytes(id)...)
}

// SpecialID returns the id of the added token with this literal, or [None].
func (t *Tokenizer) SpecialID(literal string) int32 {
	for _, a := range t.added {
		if a.content == literal {
			return a.id
		}
	}
	return None
}

// Encode returns the ids of text, without BOS and EOS. Literals of special tokens
// in the text are encoded as ordinary text, except by a tokenizer from
// [Tokenizer.TakingLiterals].
func (t *Tokenizer) Encode(text string) []int32 {
	return t.AppendEncode(nil, []byte(text))
}

// AppendEncode appends the ids of text to dst, as [Tokenizer.Encode] gives them.
func (t *Tokenizer) AppendEncode(dst []int32, text []byte) []int32 {
	e := t.acquire()
	for t.takes && len(text) > 0 {
		at, size, id := t.literals.find(text)
		if size == 0 {
			break
		}
		dst = append(e.appendText(dst, text[:at]), id)
		text = text[at+size:]
	}
	dst = e.appendText(dst, text)
	t.release(e)
	return dst
}

// Decode returns the text of ids. Special tokens decode to nothing. It returns an
// error for an id without a token.
func (t *Tokenizer) Decode(ids []int32) (string, error) {
	for i, id := range ids {
		if !t.valid(id) {
			return "", fmt.Errorf("tokenizer: decode: id %d at position %d has no token (the vocabulary has %d ids)", id, i, t.VocabSize())
		}
	}
	return string(t.AppendDecode(nil, ids)), nil
}

// AppendDecode appends the text of ids to dst. Special tokens decode to nothing,
// and ids without a token to U+FFFD.
func (t *Tokenizer) AppendDecode(dst []byte, ids []int32) []byte {
	for _, id := range ids {
		switch {
		case !t.valid(id):
			dst = utf8.AppendRune(dst, utf8.RuneError)
		case t.kind[id] != kindSpecial:
			dst = append(dst, t.bytes(id)...)
		}
	}
	return dst
}

func (t *Tokenizer) valid(id int32) bool {
	return uint(id) < uint(len(t.kind)) && t.kind[id] != kindNone
}

func (t *Tokenizer) bytes(id int32) []byte { return t.text[t.start[id]:t.start[id+1]] }
