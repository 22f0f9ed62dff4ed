package tokenizer

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// A wordCache keeps the tokens of words, in two tables of 1.5 MB together. Most
// words are short and have few tokens. Such a word is hashed and compared as two
// integers; two of them share a cache line, the most recently used one first.
// Other words take a line each. A word's place follows from its hash, and a new
// word replaces an older one there.
type wordCache struct {
	short [][2]shortWord
	long  []longWord
	k     [2]uint64
	seed  maphash.Seed
}

const (
	shortLog  = 14
	shortSize = 15 // bytes
	shortIDs  = 3
	longLog   = 13
	longSize  = 31
	longIDs   = 7
)

type shortWord struct {
	key [2]uint64 // little endian, the length in the highest byte; 0: empty
	ids [shortIDs]int32
	n   int32
}

type longWord struct {
	key  [longSize]byte
	size uint8 // of the key; 0: empty
	ids  [longIDs]int32
	n    int32
}

func newWordCache() *wordCache {
	seed := maphash.MakeSeed()
	return &wordCache{
		short: make([][2]shortWord, 1<<shortLog),
		long:  make([]longWord, 1<<longLog),
		k:     [2]uint64{maphash.String(seed, "0") | 1, maphash.String(seed, "1") | 1},
		seed:  seed,
	}
}

// shortKey returns text[i:j], of at most shortSize bytes, as two integers.
func shortKey(text []byte, i, j int) [2]uint64 {
	n := uint(j - i)
	var a, b uint64
	if i+16 <= len(text) {
		a = binary.LittleEndian.Uint64(text[i:])
		b = binary.LittleEndian.Uint64(text[i+8:])
	} else {
		var tail [16]byte
		copy(tail[:], text[i:j])
		a = binary.LittleEndian.Uint64(tail[:])
		b = binary.LittleEndian.Uint64(tail[8:])
	}
	// A shift by 64 or more gives 0, so the masks are right for every n.
	a &= 1<<(8*n) - 1
	b &= 1<<(8*(max(n, 8)-8)) - 1
	return [2]uint64{a, b | uint64(n)<<56}
}

func (c *wordCache) shortSlots(key [2]uint64) *[2]shortWord {
	hi, lo := bits.Mul64(key[0]^c.k[0], key[1]^c.k[1])
	return &c.short[(hi^lo)>>(64-shortLog)]
}

func (c *wordCache) longSlot(word []byte) *longWord {
	return &c.long[maphash.Bytes(c.seed, word)>>(64-longLog)]
}

func (s *longWord) holds(word []byte) bool {
	return int(s.size) == len(word) && string(s.key[:s.size]) == string(word)
}
