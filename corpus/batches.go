package corpus

import (
	"fmt"

	"github.com/calm-go/calm/internal/plural"
)

// Batches is an endless sequence of batches of shuffled blocks. Every epoch has each block once, in a new order, with the
// grid of blocks shifted along the stream by a new offset. A batch may contain the end of one epoch and the beginning of the
// next. Order and offset depend only on the seed and the number of the epoch, so a [Position] is enough to continue.
// Batches is not safe for concurrent use.
type Batches struct {
	blocks *Blocks
	size   int // rows of a batch
	pos    Position
	order  permutation // of the epoch
	shift  int64       // tokens, of the epoch
}

// A Position is a place in a sequence of batches. Checkpoints keep it.
type Position struct {
	Seed   uint64 `json:"seed"`   // seed of the orders and offsets
	Epoch  int64  `json:"epoch"`  // epochs finished, 0 or more
	Index  int64  `json:"index"`  // blocks taken in this epoch, in [0, Blocks)
	Blocks int64  `json:"blocks"` // blocks of an epoch, at least 1; used to notice other data or another layout
}

// Shuffled returns batches of size blocks, from the first epoch on. size must be at least 1. The error is [ErrTooShort] where
// there are fewer blocks than size.
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

// begin sets the order and the offset of the epoch.
func (s *Batches) begin() {
	key := newKey(s.pos.Seed, uint64(s.pos.Epoch))
	s.order = newPermutation(&key, uint64(s.pos.Blocks))
	unit := int64(1) // patches stay whole in the autoencoder's layout
	if s.blocks.layout.Kind == Autoencoder {
		unit = int64(s.blocks.layout.PatchSize)
	}
	s.shift = int64(key.next()%uint64(s.blocks.tokens/unit)) * unit
}

// Next fills dst, [batch, block], with the next batch. It allocates nothing. After an error (a damaged file) the position is
// unchanged. It panics if dst has another length.
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

// Seek goes to a position, and takes over its seed. The position must be from batches of the same data in the same layout;
// their size may differ. It returns an error for a position that such batches cannot have.
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
