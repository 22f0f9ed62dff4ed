package tokenizer

import (
	"runtime"
	"sync"
)

// maxWord is the largest length of a word in bytes, since mergeLong counts
// positions in 32 bits. A longer word is cut; no real text has one.
const maxWord = 1 << 30

// An encoder is the working memory of one AppendEncode.
type encoder struct {
	split  split
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
	e := &encoder{split: t.split, merger: merger{t: t}}
	if len(t.merges) == 0 && t.whole == nil {
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
