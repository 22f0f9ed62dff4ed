package tokenizer

import (
	"hash/maphash"
	"runtime"
)

// Words up to cacheKey bytes with up to cacheIDs tokens are remembered: a cache
// line each, 1 MB in all.
const (
	cacheLog = 14
	cacheKey = 31
	cacheIDs = 7
)

// maxWord bounds the positions that mergeLong counts in 32 bits; a longer word,
// which no text has, is cut.
const maxWord = 1 << 30

// An encoder is the working memory of one AppendEncode.
type encoder struct {
	split  split
	byteID *[256]int32 // not nil: there are no merges, every byte is its token
	merger merger
	seed   maphash.Seed
	cache  []cached
}

// cached is the encoding of one word. The slot of a word follows from its hash,
// and the last word to come keeps it.
type cached struct {
	key  [cacheKey]byte
	size uint8 // of the key; 0: empty
	ids  [cacheIDs]int32
	n    int32
}

// acquire returns an encoder that nobody else uses.
func (t *Tokenizer) acquire() *encoder {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.free); n > 0 {
		e := t.free[n-1]
		t.free = t.free[:n-1]
		return e
	}
	e := &encoder{split: t.split, merger: merger{t: t}, seed: maphash.MakeSeed()}
	if len(t.merges) == 0 && t.whole == nil {
		e.byteID = &t.byteID
	} else {
		e.cache = make([]cached, 1<<cacheLog)
	}
	return e
}

// release keeps e for the next acquire.
func (t *Tokenizer) release(e *encoder) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.free) < runtime.GOMAXPROCS(0) {
		t.free = append(t.free, e)
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
		dst = e.appendWord(dst, text[i:j])
		i = j
	}
	return dst
}

func (e *encoder) appendWord(dst []int32, word []byte) []int32 {
	if len(word) > cacheKey {
		return e.merger.appendWord(dst, word)
	}
	c := &e.cache[maphash.Bytes(e.seed, word)&(1<<cacheLog-1)]
	if int(c.size) == len(word) && string(c.key[:c.size]) == string(word) {
		return append(dst, c.ids[:c.n]...)
	}
	before := len(dst)
	dst = e.merger.appendWord(dst, word)
	if ids := dst[before:]; len(ids) <= cacheIDs {
		c.size = uint8(copy(c.key[:], word))
		c.n = int32(copy(c.ids[:], ids))
	}
	return dst
}
