package tokenizer

import (
	"hash/maphash"
	"math/bits"
)

// A tokenTable finds ids by the bytes of their tokens. It is a hash table with
// linear probing, at most half full. Its slots hold a part of the hash and the id.
type tokenTable struct {
	slots []tokenSlot
	seed  maphash.Seed
	bytes func(id int32) []byte
}

type tokenSlot struct {
	tag uint32
	id  int32 // None: the slot is empty
}

// newTokenTable returns an empty table for n tokens. bytes returns a token's bytes.
func newTokenTable(n int, bytes func(id int32) []byte) *tokenTable {
	t := &tokenTable{slots: make([]tokenSlot, 1<<bits.Len(uint(2*n+1))), seed: maphash.MakeSeed(), bytes: bytes}
	for i := range t.slots {
		t.slots[i].id = None
	}
	return t
}

// add adds id and returns None. If the table has an id with the same bytes, it
// returns that one and adds nothing.
func (t *tokenTable) add(id int32) (same int32) {
	token := t.bytes(id)
	s, tag := t.slot(token, maphash.Bytes(t.seed, token))
	if s.id == None {
		*s = tokenSlot{tag, id}
		return None
	}
	return s.id
}

// find returns the id of token, or None.
func (t *tokenTable) find(token []byte) int32 {
	s, _ := t.slot(token, maphash.Bytes(t.seed, token))
	return s.id
}

func (t *tokenTable) slot(token []byte, hash uint64) (*tokenSlot, uint32) {
	tag := uint32(hash >> 32)
	mask := uint64(len(t.slots) - 1)
	for i := hash; ; i++ {
		s := &t.slots[i&mask]
		if s.id == None || s.tag == tag && string(t.bytes(s.id)) == string(token) {
			return s, tag
		}
	}
}
