package tokenizer

import (
	"math/bits"
	"math/rand/v2"
	"unicode/utf8"
)

// noRank is the rank of a pair that is never merged.
const noRank = ^uint32(0)

// A pairTable is a hash table of merges with linear probing, at most half full.
// Its hash has a random seed, so that no file can be crafted to collide.
type pairTable struct {
	slots []pairSlot
	shift uint
	seed  uint64
}

type pairSlot struct {
	left, right int32
	rank        uint32 // noRank: the slot is empty
	id          int32  // of the merged token
}

func newPairTable(merges []merge) pairTable {
	log := uint(bits.Len(uint(2*len(merges) + 1)))
	t := pairTable{slots: make([]pairSlot, 1<<log), shift: 64 - log, seed: rand.Uint64()}
	for i := range t.slots {
		t.slots[i].rank = noRank
	}
	for rank, m := range merges {
		*t.slot(m.left, m.right) = pairSlot{m.left, m.right, uint32(rank), m.id}
	}
	return t
}

// slot returns the slot of a pair, or the empty slot where it would be entered.
func (t *pairTable) slot(left, right int32) *pairSlot {
	h := (uint64(left)<<32 | uint64(uint32(right))) ^ t.seed
	h *= 0x9e3779b97f4a7c15
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	mask := uint64(len(t.slots) - 1)
	for i := h >> t.shift; ; i++ {
		s := &t.slots[i&mask]
		if s.rank == noRank || s.left == left && s.right == right {
			return s
		}
	}
}

// heapSize is the length of a word, in bytes, from which a heap finds the next
// pair. For shorter words it is faster to look at all pairs.
const heapSize = 48

// merger merges the bytes of one word. It is reused to save allocations.
type merger struct {
	t     *Tokenizer
	parts []part
	heap  []uint64
}

// A part is a token of the word being merged, and its merge with the next part.
type part struct {
	id         int32
	rank       uint32 // of the merge; noRank: there is none
	merged     int32  // id after the merge
	prev, next int32  // indices of the parts before and after; used by mergeLong only
}

// appendWord appends the tokens of a word. The word must not be empty.
func (m *merger) appendWord(dst []int32, word []byte) []int32 {
	if m.t.table != nil {
		if id := m.t.table.find(word); id != None {
			return append(dst, id)
		}
	}
	if cap(m.parts) < len(word) {
		m.parts = make([]part, max(heapSize, len(word)))
	}
	if len(word) < heapSize {
		return m.mergeShort(dst, word)
	}
	dst = m.mergeLong(dst, word)
	if len(word) > 1<<16 { // free the memory that an unusually long word needed
		m.parts, m.heap = nil, nil
	}
	return dst
}

// split returns the first tokens of a word: its bytes, or the characters of a SentencePiece vocabulary, with the bytes of
// those that it lacks.
func (m *merger) split(word []byte) []part {
	parts := m.parts[:len(word)]
	if m.t.chars == nil {
		for i, b := range word {
			parts[i].id = m.t.byteID[b]
		}
		return parts
	}
	n := 0
	for i := 0; i < len(word); {
		r, size := utf8.DecodeRune(word[i:])
		if id, known := m.t.chars[r]; known && (r != utf8.RuneError || size > 1) {
			parts[n].id = id
			n++
			i += size
			continue
		}
		for ; size > 0; size-- {
			parts[n].id = m.t.byteID[word[i]]
			n++
			i++
		}
	}
	return parts[:n]
}

func (m *merger) mergeShort(dst []int32, word []byte) []int32 {
	parts := m.split(word)
	for i := range parts {
		m.pairShort(parts, i)
	}
	for {
		best, rank := 0, noRank
		for i := range parts {
			if parts[i].rank < rank {
				best, rank = i, parts[i].rank
			}
		}
		if rank == noRank {
			break
		}
		parts[best].id = parts[best].merged
		parts = append(parts[:best+1], parts[best+2:]...)
		m.pairShort(parts, best)
		if best > 0 {
			m.pairShort(parts, best-1)
		}
	}
	for i := range parts {
		dst = append(dst, parts[i].id)
	}
	return dst
}

// pairShort looks up the pair of parts i and i+1.
func (m *merger) pairShort(parts []part, i int) {
	p := &parts[i]
	p.rank = noRank
	if i+1 < len(parts) {
		s := m.t.pairs.slot(p.id, parts[i+1].id)
		p.rank, p.merged = s.rank, s.id
	}
}

// mergeLong does the same as mergeShort in time n log n, with a linked list and a
// heap of (rank, index of the part). An entry of the heap is stale where its part
// no longer has that rank. Comparing ranks is enough, since each rank belongs to
// one pair.
func (m *merger) mergeLong(dst []int32, word []byte) []int32 {
	parts := m.split(word)
	for i := range parts {
		parts[i].prev, parts[i].next = int32(i)-1, int32(i)+1
	}
	m.heap = m.heap[:0]
	for i := range parts {
		m.pairLong(parts, int32(i))
	}
	for len(m.heap) > 0 {
		top := m.pop()
		i := int32(uint32(top))
		p := &parts[i]
		if p.rank != uint32(top>>32) {
			continue
		}
		gone := &parts[p.next]
		gone.rank = noRank
		p.id, p.next = p.merged, gone.next
		if int(p.next) < len(parts) {
			parts[p.next].prev = i
		}
		m.pairLong(parts, i)
		if p.prev >= 0 {
			m.pairLong(parts, p.prev)
		}
	}
	for i := int32(0); int(i) < len(parts); i = parts[i].next {
		dst = append(dst, parts[i].id)
	}
	return dst
}

// pairLong looks up the pair of part i and the next part and adds it to the heap.
func (m *merger) pairLong(parts []part, i int32) {
	p := &parts[i]
	p.rank = noRank
	if int(p.next) < len(parts) {
		s := m.t.pairs.slot(p.id, parts[p.next].id)
		p.rank, p.merged = s.rank, s.id
		if p.rank != noRank {
			m.push(uint64(p.rank)<<32 | uint64(uint32(i)))
		}
	}
}

func (m *merger) push(x uint64) {
	h := append(m.heap, x)
	i := len(h) - 1
	for i > 0 && h[(i-1)/2] > x {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = x
	m.heap = h
}

func (m *merger) pop() uint64 {
	h := m.heap
	top, x := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	i := 0
	for 2*i+1 < len(h) {
		child := 2*i + 1
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if x <= h[child] {
			break
		}
		h[i] = h[child]
		i = child
	}
	if len(h) > 0 {
		h[i] = x
	}
	m.heap = h
	return top
}
