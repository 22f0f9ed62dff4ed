// Package eval has what all models need to be measured on blocks of text: the options, the choice of blocks, the positions
// where n-grams are scored, and the continuation of samples that are shorter than an n-gram (docs/spec.md, section 4). The
// measurements themselves are in the models' packages: autoencoder, lm and ar.
//
// An evaluator is compiled once and may run many times; training runs it every eval_steps steps. Its random draws depend on
// the seed and the shapes, and not on training's draws or the number of threads. So two runs on the same weights give the
// same numbers.
package eval

import (
	"errors"
	"fmt"
	"math"

	"github.com/calm-go/calm/corpus"
)

// ErrShortBlock is returned when blocks are too short for a single position that can be measured.
var ErrShortBlock = errors.New("blocks are too short")

// Options say what is measured. The zero value measures all blocks.
type Options struct {
	// Seed is the seed of the random draws, and of the bootstrap that gives the intervals. Any value.
	Seed uint64
	// MaxBlocks is the largest number of blocks measured, 0 or more, spread evenly over the text; 0: all.
	MaxBlocks int
	// Rows is the number of blocks in a batch, 0 or more; 0: chosen by the shapes. The random draws depend on it, but not their
	// expectations.
	Rows int
	// Sigmas are standard deviations of noise added to the latent vectors, each 0 or more and finite. An autoencoder's
	// accuracy is measured under each.
	Sigmas []float64
	// Samples is the number of patches drawn at each position of a language model, 2 to MaxSamples; 0: 2, as in the paper's
	// estimator. More samples give narrower intervals and take longer. Models with patches of fewer than 4 tokens always use
	// 2.
	Samples int
	// ReferenceWindows makes models with patches of fewer than 4 tokens leave out the last position of each block, as the
	// reference does (docs/spec.md, section 4).
	ReferenceWindows bool
	// Progress is called after every batch with the number of blocks done and their total; nil: not called.
	Progress func(done, total int)
}

// MaxSamples is the largest number of samples at a position. More are not worth their cost.
const MaxSamples = 10_000

// Check returns an error for a negative MaxBlocks or Rows, the options that every evaluator uses.
func (o Options) Check() error {
	switch {
	case o.MaxBlocks < 0:
		return fmt.Errorf("evaluation: at most %d blocks: want 0 for all, or more", o.MaxBlocks)
	case o.Rows < 0:
		return fmt.Errorf("evaluation: %d blocks at a time: want 0 to let the shapes decide, or more", o.Rows)
	}
	return nil
}

// Stream returns the seed of an evaluation's draws. It differs from the seed of a training run with the same Seed, whose
// draws have the same names.
func (o Options) Stream() uint64 {
	const apart = 0x6576616c75617465
	return o.Seed ^ apart
}

// CheckLayout returns an error where a model cannot be measured on the blocks. The model needs a layout of that kind,
// patches of patch tokens and at least least patches a block. The error is [ErrShortBlock] where blocks have fewer.
func CheckLayout(blocks *corpus.Blocks, kind corpus.Kind, patch, least int) error {
	l := blocks.Layout()
	switch {
	case l.Kind != kind:
		return fmt.Errorf("evaluation: the text is laid out for the %s, want the %s's layout", l.Kind, kind)
	case l.BlockSize%patch != 0:
		return fmt.Errorf("evaluation: blocks of %d tokens: want a multiple of the patch size, %d", l.BlockSize, patch)
	case l.BlockSize < least*patch:
		return fmt.Errorf("evaluation: %w: %d tokens, want %d or more", ErrShortBlock, l.BlockSize, least*patch)
	case kind == corpus.Autoencoder && l.PatchSize != patch:
		return fmt.Errorf("evaluation: the text is laid out in patches of %d, the autoencoder's have %d", l.PatchSize, patch)
	}
	return nil
}

// Finite returns an error where v is not finite: the weights are broken then. JSON could not hold it either. what names the
// number.
func Finite(what string, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("the %s is %v: the weights have diverged or are damaged; go back to an earlier checkpoint", what, v)
	}
	return nil
}
