package tokenizer

import (
	"bytes"
	"runtime"
	"sync"
)

// maxWord is the largest length of a word in bytes, since mergeLong counts
// positions in 32 bits. A longer word is cut; no real text has one.
const maxWord = 1 << 30

// An encoder is the working memory of one AppendEncode.
type encoder struct {
	t      *Tokenizer
	split  split       // of the last stage
	byteID *[256]int32 // not nil: there are no merges, every byte is a token
	merger merger
	cache  *wordCache
}

// A pool holds unused encoders, with their caches.
type pool struct {
	mu   sync.Mutex
	free []*encoder
}

// acquire returns an encoder for the caller's use until it calls release.
func (t *Tokenizer) acquire() *encoder {
	p := t.encoders
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		e := p.free[n-1]
		p.free = p.free[:n-1]
		return e
	}
	e := &encoder{t: t, split: t.cuts[len(t.cuts)-1].split, merger: merger{t: t}}
	if len(t.merges) == 0 && !t.whole && !t.pieces {
		e.byteID = &t.byteID
	} else {
		e.cache = newWordCache()
	}
	return e
}

// release keeps e for the next acquire.
func (t *Tokenizer) release(e *encoder) {
	p := t.encoders
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) < runtime.GOMAXPROCS(0) {
		p.free = append(p.free, e)
	}
}

// A place says where a piece of text lies: what some tokenizers put before a text depends on it.
type place uint8

const (
	begins  place = iota // at the beginning of a text
	inside               // behind another piece that was cut off
	resumes              // at the beginning of a later part of a text: nothing is put before it
)

// from returns the place of a part of a piece that begins at one of its bytes.
func (p place) from(at int) place {
	if at > 0 {
		return inside
	}
	return p
}

// appendWhole appends the ids of a text, or of a later part of one. specials says whether literals of special tokens are
// these tokens. First come added tokens in the text, then what is between them is normalized, then come added tokens there.
func (e *encoder) appendWhole(dst []int32, text []byte, specials bool, p place) []int32 {
	t := e.t
	if !t.raw.wanted(specials) {
		return e.appendNormalized(dst, text, specials, p)
	}
	for c := (cutter{literals: &t.raw, text: text, specials: specials}); ; {
		piece, at, found := c.next()
		dst = e.appendNormalized(dst, piece, specials, p.from(at))
		if found == nil {
			return dst
		}
		dst = append(dst, found.id)
	}
}

func (e *encoder) appendNormalized(dst []int32, text []byte, specials bool, p place) []int32 {
	t := e.t
	text = t.normalizeAt(text, p)
	if !t.normalized.wanted(specials) {
		return e.appendStages(dst, text, t.cuts, p)
	}
	for c := (cutter{literals: &t.normalized, text: text, specials: specials}); ; {
		piece, at, found := c.next()
		dst = e.appendStages(dst, piece, t.cuts, p.from(at))
		if found == nil {
			return dst
		}
		dst = append(dst, found.id)
	}
}

// normalize returns the normalized text.
func (t *Tokenizer) normalize(text []byte) []byte { return t.normalizeAt(text, begins) }

func (t *Tokenizer) normalizeAt(text []byte, p place) []byte {
	for _, n := range t.normalizers {
		if _, is := n.(prepend); is && p == resumes {
			continue
		}
		text = n.normalize(text)
	}
	return text
}

// appendStages appends the ids of a text that the stages cut into words.
func (e *encoder) appendStages(dst []int32, text []byte, stages []stage, p place) []int32 {
	if e.t.direct {
		return e.appendText(dst, text)
	}
	if len(text) == 0 {
		return dst
	}
	s := stages[0]
	if s.replaces {
		text = bytes.ReplaceAll(text, []byte{' '}, metaspace)
	}
	if s.prefix != "" && (p == begins || p == inside && !s.first) && !bytes.HasPrefix(text, []byte(s.prefix)) {
		text = append([]byte(s.prefix), text...)
	}
	if len(stages) == 1 {
		return e.appendText(dst, text)
	}
	for i := 0; i < len(text); {
		j := s.split.next(text, i)
		dst = e.appendStages(dst, text[i:j], stages[1:], p.from(i))
		i = j
	}
	return dst
}

// appendText appends the ids of a text that the last stage cuts into words.
func (e *encoder) appendText(dst []int32, text []byte) []int32 {
	if e.byteID != nil {
		for _, b := range text {
			dst = append(dst, e.byteID[b])
		}
		return dst
	}
	for i := 0; i < len(text); {
		j := min(e.split.next(text, i), i+maxWord)
		if j-i <= shortSize {
			dst = e.appendShort(dst, text, i, j)
		} else {
			dst = e.appendLong(dst, text[i:j])
		}
		i = j
	}
	return dst
}

// appendShort appends the tokens of the word text[i:j] of at most shortSize
// bytes.
func (e *encoder) appendShort(dst []int32, text []byte, i, j int) []int32 {
	key := shortKey(text, i, j)
	s := e.cache.shortSlots(key)
	if s[0].key != key {
		s[0], s[1] = s[1], s[0]
	}
	if s[0].key == key {
		if s[0].n == 1 {
			return append(dst, s[0].ids[0])
		}
		return append(dst, s[0].ids[:s[0].n]...)
	}
	before := len(dst)
	dst = e.appendLong(dst, text[i:j])
	if ids := dst[before:]; len(ids) <= shortIDs {
		s[0].key = key
		s[0].n = int32(copy(s[0].ids[:], ids))
	}
	return dst
}

// appendLong appends the tokens of any word.
func (e *encoder) appendLong(dst []int32, word []byte) []int32 {
	if len(word) > longSize {
		return e.merger.appendWord(dst, word)
	}
	s := e.cache.longSlot(word)
	if s.holds(word) {
		return append(dst, s.ids[:s.n]...)
	}
	before := len(dst)
	dst = e.merger.appendWord(dst, word)
	ids := dst[before:]
	if short := len(word) <= shortSize && len(ids) <= shortIDs; !short && len(ids) <= longIDs {
		s.size = uint8(copy(s.key[:], word))
		s.n = int32(copy(s.ids[:], ids))
	}
	return dst
}
