// Package eval measures models on blocks of text: how well an autoencoder gives its patches back, how close a language
// model's samples come to the text (energy loss, BrierLM), and the likelihood of the token-level baseline (SPEC
// sections 2 to 4).
//
// Each kind of model has an evaluator, compiled once and run as often as wanted (training does it every so many steps),
// and a function that makes one and runs it. Random draws come from streams of the evaluation's own: they follow from
// the seed and the shapes, never from the training's draws nor from the number of threads. So two runs on the same
// weights give the same figures.
package eval

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/calm-go/calm/corpus"
)

// ErrShortBlock says that blocks have no room for a single position that could be measured.
var ErrShortBlock = errors.New("blocks are too short")

// Options say what is measured. The zero value measures all blocks.
type Options struct {
	Seed      uint64
	MaxBlocks int // at most that many blocks, spread evenly over the text; 0 for all
	// Rows is the number of blocks that go through the model at a time; 0 for as many as are of use. Random draws
	// depend on it, expectations do not.
	Rows int
	// Sigmas are the noises under which an autoencoder's accuracy is measured too.
	Sigmas []float64
	// Samples is the number of patches drawn at each position of a language model, at least 2; 0 for 2, which is the
	// paper's estimator. More make the intervals narrower and take longer. Patches of fewer than 4 tokens always have 2.
	Samples int
	// ReferenceWindows scores patches of fewer than 4 tokens where the reference does: at one position of a block fewer
	// than fit (SPEC section 4).
	ReferenceWindows bool
	// Progress, if not nil, is told after every batch how many blocks are done.
	Progress func(done, total int)
}

// check reports what is wrong with the options that every evaluator reads.
func (o Options) check() error {
	switch {
	case o.MaxBlocks < 0:
		return fmt.Errorf("evaluation: at most %d blocks: want 0 for all, or more", o.MaxBlocks)
	case o.Rows < 0:
		return fmt.Errorf("evaluation: %d blocks at a time: want 0 to let the shapes decide, or more", o.Rows)
	}
	return nil
}

// stream returns the seed of an evaluation's draws, apart from that of training under the same seed: programs name
// their draws alike.
func (o Options) stream() uint64 {
	const apart = 0x6576616c75617465
	return o.Seed ^ apart
}

// selection is the blocks that are measured, in batches.
type selection struct {
	blocks *corpus.Blocks
	total  int // blocks measured
	rows   int // of a batch
	ids    []int32
}

// selectBlocks chooses blocks, and batches of about equal size of at most atOnce tokens.
func selectBlocks(blocks *corpus.Blocks, o Options, atOnce int) *selection {
	s := &selection{blocks: blocks, total: int(min(blocks.Len(), math.MaxInt32))}
	if o.MaxBlocks > 0 {
		s.total = min(s.total, o.MaxBlocks)
	}
	s.rows = o.Rows
	if s.rows == 0 {
		most := max(1, atOnce/blocks.Layout().BlockSize)
		batches := (s.total + most - 1) / most
		s.rows = (s.total + batches - 1) / batches
	}
	s.rows = min(s.rows, s.total)
	s.ids = make([]int32, s.rows*blocks.Layout().BlockSize)
	return s
}

// batches returns the number of batches; the last may have fewer rows than the others.
func (s *selection) batches() int { return (s.total + s.rows - 1) / s.rows }

// read returns a batch's rows and its ids [rows, T], in memory that the next read overwrites.
func (s *selection) read(batch int) (rows int, ids []int32, err error) {
	t := s.blocks.Layout().BlockSize
	first := batch * s.rows
	rows = min(s.rows, s.total-first)
	for r := range rows {
		// Evenly spread: with all blocks selected, block i is number i.
		at := int64(first+r) * s.blocks.Len() / int64(s.total)
		if _, err := s.blocks.Fill(at, s.ids[r*t:(r+1)*t]); err != nil {
			return 0, nil, fmt.Errorf("evaluation: block %d: %w", at, err)
		}
	}
	return rows, s.ids[:rows*t], nil
}

// each reads batch after batch, until an error or the end of ctx.
func (s *selection) each(ctx context.Context, progress func(done, total int), do func(batch, rows int, ids []int32) error) error {
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
			progress(batch*s.rows+rows, s.total)
		}
	}
	return nil
}

// checkLayout reports blocks that a model cannot be measured on.
func checkLayout(blocks *corpus.Blocks, kind corpus.Kind, patch, least int) error {
	l := blocks.Layout()
	switch {
	case l.Kind != kind:
		return fmt.Errorf("evaluation: the text is laid out for the %s, want the %s's layout", l.Kind, kind)
	case l.BlockSize%patch != 0:
		return fmt.Errorf("evaluation: blocks of %d tokens are no whole patches of %d: choose a multiple", l.BlockSize, patch)
	case l.BlockSize < least*patch:
		return fmt.Errorf("evaluation: %w: %d tokens, want %d or more", ErrShortBlock, l.BlockSize, least*patch)
	case kind == corpus.Autoencoder && l.PatchSize != patch:
		return fmt.Errorf("evaluation: the text is laid out in patches of %d, the autoencoder's have %d", l.PatchSize, patch)
	}
	return nil
}

// finite fails on a figure that says the weights are broken; it also could not be written as JSON.
func finite(what string, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("the %s is %v: the weights have diverged or are damaged; go back to an earlier checkpoint", what, v)
	}
	return nil
}
