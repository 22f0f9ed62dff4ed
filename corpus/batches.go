package corpus

import (
	"fmt"

	"github.com/calm-go/calm/internal/plural"
)

// Batches is an endless sequence of batches of shuffled blocks. Every epoch has all blocks once, in its own order and with
// the grid of blocks shifted along the stream by its own offset. A batch may end one epoch and begin the next. Order and
// offset follow from the seed and the epoch's number, so a [Position] is all there is to remember. It is for one goroutine.
type Batches struct {
	blocks *Blocks
	size   int // rows of a batch
	pos    Position
	order  permutation // of the epoch
	shift  int64       // tokens, of the epoch
}

// A Position is a place in a sequence of batches, to be kept in a checkpoint.
type Position struct {
	Seed   uint64 `json:"seed"`   // of the orders and offsets
	Epoch  int64  `json:"epoch"`  // epochs finished, from 0 on
	Index  int64  `json:"index"`  // blocks taken in this epoch, 0 to Blocks-1
	Blocks int64  `json:"blocks"` // blocks of an epoch, at least 1; tells other data or another layout
}

// Shuffled returns batches of size blocks, at least 1, from the first epoch on. Fewer blocks than that are [ErrTooShort].
func (b *Blocks) Shuffled(seed uint64, size int) (*Batches, error) {
	if size < 1 {
		return nil, fmt.Errorf("batch_size is %d; it must be at least 1", size)
	}
	if int64(size) > b.Len() {
		return nil, fmt.Errorf("%w: the %s has %s (laid out for the %s), which make %s of %d; a batch has %d: lower batch_size or block_size, or give more text",
			ErrTooShort, b.part.name, plural.Count(b.tokens, "token"), b.layout.Kind, plural.Count(b.Len(), "block"), b.layout.BlockSize, size)
	}
	s := &Batches{blocks: b, size: size, pos: Position{Seed: seed, Blocks: b.Len()}}
	s.begin()
	return s, nil
}

// begin sets what follows from seed and epoch.
func (s *Batches) begin() {
	key := newKey(s.pos.Seed, uint64(s.pos.Epoch))
	s.order = newPermutation(&key, uint64(s.pos.Blocks))
	unit := int64(1) // patches stay whole in the autoencoder's layout
	if s.blocks.layout.Kind == Autoencoder {
		unit = int64(s.blocks.layout.PatchSize)
	}
	s.shift = int64(key.next()%uint64(s.blocks.tokens/unit)) * unit
}

// Next fills dst, [batch, block], with the next batch. It allocates nothing. After an error (a damaged file) the position
// is unchanged. A dst of another length is a panic.
func (s *Batches) Next(dst []int32) error {
	t := s.blocks.layout.BlockSize
	if len(dst) != s.size*t {
		panic(fmt.Sprintf("corpus: Next of %d tokens; a batch has %d x %d", len(dst), s.size, t))
	}
	before := s.pos
	for ; len(dst) > 0; dst = dst[t:] {
		block := int64(s.order.at(uint64(s.pos.Index)))
		at := (s.shift + block*int64(t)) % s.blocks.tokens
		if err := s.blocks.read(dst[:t], at); err != nil {
			if seekErr := s.Seek(before); seekErr != nil {
				panic(seekErr) // impossible: it was a position of these batches
			}
			return err
		}
		if s.pos.Index++; s.pos.Index == s.pos.Blocks {
			s.pos.Index = 0
			s.pos.Epoch++
			s.begin()
		}
	}
	return nil
}

// Position returns where the next batch begins.
func (s *Batches) Position() Position { return s.pos }

// Seek goes to a position that batches of the same data in the same layout were in, its seed included. The size of a batch
// may differ. A position that no such batches have is an error.
func (s *Batches) Seek(p Position) error {
	switch {
	case p.Blocks != s.blocks.Len():
		return fmt.Errorf("the data has changed: the position was taken among %s, now there are %d", plural.Count(p.Blocks, "block"), s.blocks.Len())
	case p.Index < 0 || p.Index >= p.Blocks || p.Epoch < 0:
		return fmt.Errorf("position: block %d of epoch %d, where an epoch has %s", p.Index, p.Epoch, plural.Count(p.Blocks, "block"))
	}
	s.pos = p
	s.begin()
	return nil
}
