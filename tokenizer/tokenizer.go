package tokenizer

import (
	"fmt"
	"slices"
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
	spec // with the tokens' bytes in shown and keys

	shown  tokenText   // what each id decodes to; of a special token, its literal
	kind   []tokenKind // [V]
	byteID [256]int32  // ids of the tokens of one byte, by byte

	pairs pairTable      // merges by pair
	table *tokenTable    // all tokens, if a word that is a token is not merged; else nil
	chars map[rune]int32 // of a SentencePiece vocabulary: ids of its characters; else nil

	raw, normalized literals // added tokens that are looked for before and after normalizing
	cuts            []stage  // the stages that do something, or one
	direct          bool     // a text is cut by one split, without any change

	bos, eos, pad int32
	takes         bool // Encode turns literals of special tokens into them

	encoders *pool
}

type tokenKind uint8

const (
	kindNone    tokenKind = iota // an id without a token
	kindText                     // an ordinary token
	kindAdded                    // decodes to its literal
	kindSpecial                  // never made by merging; decodes to nothing
)

// A merge joins two adjacent tokens into one.
type merge struct{ left, right, id int32 }

// spec is what a Tokenizer is made from.
type spec struct {
	tokens   [][]byte // bytes that merging makes, by id; nil where it does not make the id
	merges   []merge  // by rank
	added    []addedToken
	stages   []stage // at least one
	whole    bool    // a word that is a token becomes that token without merging
	template template
	own      bool // the post-processor is bosTemplate

	normalizers []normalizer
	pieces      bool // the vocabulary is SentencePiece's: tokens are characters, with U+2581 for spaces
	decoder     decoder
	file        fileParts
}

// fileParts are parts of a tokenizer.json that are written as they were read; "" is what calm writes itself.
type fileParts struct{ normalizer, preTokenizer, postProcessor, decoder, unk, fuseUnk, byteFallback string }

// build checks that every byte has a token and derives the lookup tables.
func build(s spec) (*Tokenizer, error) {
	v := len(s.tokens)
	for _, a := range s.added {
		v = max(v, int(a.id)+1)
	}
	t := &Tokenizer{spec: s, kind: make([]tokenKind, v), encoders: &pool{}}
	shown := make([][]byte, v)
	for id, b := range s.tokens {
		if b == nil {
			continue
		}
		shown[id], t.kind[id] = b, kindText
		if s.pieces {
			shown[id] = s.decoder.show(string(b))
		}
	}
	for i := range s.added {
		a := &t.spec.added[i]
		shown[a.id], t.kind[a.id] = a.shown(s), kindAdded
		if a.special {
			t.kind[a.id] = kindSpecial
		}
	}
	t.shown = newTokenText(shown)
	if err := t.indexBytes(); err != nil {
		return nil, err
	}
	if err := t.indexLiterals(); err != nil {
		return nil, err
	}
	if s.whole {
		t.table = newTokenTable(len(s.tokens), func(id int32) []byte { return s.tokens[id] })
		for id, b := range s.tokens {
			if b != nil {
				t.table.add(int32(id))
			}
		}
	}
	t.pairs = newPairTable(s.merges)
	t.cuts = slices.DeleteFunc(slices.Clone(s.stages), func(s stage) bool { return s == stage{} })
	if len(t.cuts) == 0 {
		t.cuts = []stage{{}}
	}
	t.direct = len(t.cuts) == 1 && t.cuts[0].prefix == "" && !t.cuts[0].replaces
	if err := t.assignRoles(); err != nil {
		return nil, err
	}
	fillClasses()
	return t, nil
}

// shown returns what an added token decodes to: its bytes, if it is written in the byte-level alphabet, else its literal.
func (a *addedToken) shown(s spec) []byte {
	if s.pieces {
		return s.decoder.show(a.content)
	}
	if !a.special {
		if b, err := fromByteLevel(a.content); err == nil {
			return b
		}
	}
	return []byte(a.content)
}

// indexBytes finds the tokens of single bytes and of characters.
func (t *Tokenizer) indexBytes() error {
	for i := range t.byteID {
		t.byteID[i] = None
	}
	if t.pieces {
		t.chars = map[rune]int32{}
	}
	for id, b := range t.tokens {
		switch {
		case b == nil:
		case t.pieces:
			if c, is := byteOf(string(b)); is {
				t.byteID[c] = int32(id)
			}
			if r, n := utf8.DecodeRune(b); n == len(b) && (r != utf8.RuneError || n > 1) {
				t.chars[r] = int32(id)
			}
		case len(b) == 1:
			t.byteID[b[0]] = int32(id)
		}
	}
	for b, id := range t.byteID {
		if id == None {
			return fmt.Errorf("no token for the single byte 0x%02x: some texts could not be encoded", b)
		}
	}
	return nil
}

// indexLiterals prepares the search for added tokens.
func (t *Tokenizer) indexLiterals() error {
	var raw, normalized []literal
	for i := range t.added {
		a := &t.added[i]
		if !a.normalized {
			raw = append(raw, literal{a.content, a})
			continue
		}
		pattern := t.normalize([]byte(a.content))
		if len(pattern) == 0 {
			return fmt.Errorf("added token %q is empty once it is normalized", a.content)
		}
		normalized = append(normalized, literal{string(pattern), a})
	}
	t.raw, t.normalized = newLiterals(raw), newLiterals(normalized)
	return nil
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
// [Tokenizer.TakingLiterals]. Literals of other added tokens are always these tokens.
func (t *Tokenizer) Encode(text string) []int32 {
	return t.AppendEncode(nil, []byte(text))
}

// AppendEncode appends the ids of text to dst, as [Tokenizer.Encode] gives them.
func (t *Tokenizer) AppendEncode(dst []int32, text []byte) []int32 {
	e := t.acquire()
	dst = e.appendWhole(dst, text, t.takes, begins)
	t.release(e)
	return dst
}

// AppendEncodeRest is AppendEncode for a text that continues another one: what some
// tokenizers put before a text is left out.
func (t *Tokenizer) AppendEncodeRest(dst []int32, text []byte) []int32 {
	e := t.acquire()
	dst = e.appendWhole(dst, text, t.takes, resumes)
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
	begun := !t.decoder.strip && !t.decoder.dropAll
	for !begun && len(ids) > 0 {
		dst = t.appendToken(dst, ids[0], &begun)
		ids = ids[1:]
	}
	for _, id := range ids { // appendToken for a text that has begun, at almost twice the speed
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

// bytes returns what an id decodes to; of a special token, its literal.
func (t *Tokenizer) bytes(id int32) []byte { return t.shown.at(id) }

// key returns how the file writes a token in its vocabulary.
func (t *Tokenizer) key(id int32) string {
	if t.kind[id] != kindText {
		for _, a := range t.added {
			if a.id == id {
				return a.content
			}
		}
	}
	if t.pieces {
		return string(t.tokens[id])
	}
	return string(appendByteLevel(nil, t.tokens[id]))
}

// tokenText holds the text of all tokens, one after another.
type tokenText struct {
	text  []byte
	start []uint32 // [V+1] where the token of each id begins in text
}

func newTokenText(tokens [][]byte) tokenText {
	t := tokenText{start: make([]uint32, len(tokens)+1)}
	for id, b := range tokens {
		t.text = append(t.text, b...)
		t.start[id+1] = uint32(len(t.text))
	}
	return t
}

func (t *tokenText) at(id int32) []byte { return t.text[t.start[id]:t.start[id+1]] }
