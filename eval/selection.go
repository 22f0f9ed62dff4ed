package eval

import (
	"context"
	"fmt"
	"math"

	"github.com/calm-go/calm/corpus"
)

// Selection is the blocks that are measured, in batches.
type Selection struct {
	Total int // blocks measured, 1 or more
	Rows  int // blocks of a batch; the last may have fewer

	blocks *corpus.Blocks
	ids    []int32 // [Rows, T]
}

// Select chooses the blocks that the options ask for. It divides them into batches of about equal size: o.Rows blocks, or if
// that is 0, at most atOnce tokens but at least one block.
func Select(blocks *corpus.Blocks, o Options, atOnce int) *Selection {
	s := &Selection{blocks: blocks, Total: int(min(blocks.Len(), math.MaxInt32))}
	if o.MaxBlocks > 0 {
		s.Total = min(s.Total, o.MaxBlocks)
	}
	s.Rows = o.Rows
	if s.Rows == 0 {
		maxRows := max(1, atOnce/blocks.Layout().BlockSize)
		batches := (s.Total + maxRows - 1) / maxRows
		s.Rows = (s.Total + batches - 1) / batches
	}
	s.Rows = min(s.Rows, s.Total)
	s.ids = make([]int32, s.Rows*blocks.Layout().BlockSize)
	return s
}

// BlockSize returns the number of tokens of a block, T.
func (s *Selection) BlockSize() int { return s.blocks.Layout().BlockSize }

// batches returns the number of batches.
func (s *Selection) batches() int { return (s.Total + s.Rows - 1) / s.Rows }

// read returns a batch's number of rows and its ids [rows, T]. The next read overwrites the ids.
func (s *Selection) read(batch int) (rows int, ids []int32, err error) {
	t := s.BlockSize()
	first := batch * s.Rows
	rows = min(s.Rows, s.Total-first)
	for r := range rows {
		// Selected blocks are spread evenly over the text.
		at := int64(first+r) * s.blocks.Len() / int64(s.Total)
		if _, err := s.blocks.Fill(at, s.ids[r*t:(r+1)*t]); err != nil {
			return 0, nil, fmt.Errorf("evaluation: block %d: %w", at, err)
		}
	}
	return rows, s.ids[:rows*t], nil
}

// Each calls do with every batch, until an error or the end of ctx. batch counts from 0, and the next batch overwrites ids
// [rows, T]. After each batch, progress is called with the number of blocks done and their total, unless it is nil.
func (s *Selection) Each(ctx context.Context, progress func(done, total int), do func(batch, rows int, ids []int32) error) error {
	for batch := range s.batches() {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, ids, err := s.read(batch)
		if err != nil {
			return err
		}
		if err := do(batch, rows, ids); err != nil {
			return fmt.Errorf("evaluation: batch %d of %d: %w", batch+1, s.batches(), err)
		}
		if progress != nil {
			progress(batch*s.Rows+rows, s.Total)
		}
	}
	return nil
}
