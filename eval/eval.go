// Package eval holds what measuring models on blocks of text has in common: which blocks are measured, which options there
// are, where n-grams are scored and how samples that are too short for one are continued (docs/spec.md, section 4). Each
// model measures itself with it: packages autoencoder, lm and ar.
//
// An evaluator is compiled once and run as often as wanted; training does so every so many steps. Random draws come from
// streams of the evaluation's own: they follow from the seed and the shapes, never from the training's draws nor from the
// number of threads. So two runs on the same weights give the same numbers.
package eval

import (
	"errors"
	"fmt"
	"math"

	"github.com/calm-go/calm/corpus"
)

// ErrShortBlock says that blocks have no room for a single position that could be measured.
var ErrShortBlock = errors.New("blocks are too short")

// Options say what is measured. The zero value measures all blocks.
type Options struct {
	// Seed is that of the draws and of the intervals' resampling.
	Seed uint64
	// MaxBlocks is the largest number of blocks measured, spread evenly over the text; 0 for all.
	MaxBlocks int
	// Rows is the number of blocks that go through the model at a time; 0 for as many as are of use. Random draws
	// depend on it, expectations do not.
	Rows int
	// Sigmas are standard deviations of noise, 0 or more, under which an autoencoder's accuracy is measured too.
	Sigmas []float64
	// Samples is the number of patches drawn at each position of a language model, 2 to MaxSamples; 0 for 2, which is the
	// paper's estimator. More make the intervals narrower and take longer. Patches of fewer than 4 tokens always have 2.
	Samples int
	// ReferenceWindows scores patches of fewer than 4 tokens where the reference does: at one position of a block fewer
	// than fit (docs/spec.md, section 4).
	ReferenceWindows bool
	// Progress, if not nil, is told after every batch how many blocks are done, of how many.
	Progress func(done, total int)
}

// MaxSamples is the largest number of samples of a position. More are not worth their cost.
const MaxSamples = 10_000

// Check reports what is wrong with the options that every evaluator reads.
func (o Options) Check() error {
	switch {
	case o.MaxBlocks < 0:
		return fmt.Errorf("evaluation: at most %d blocks: want 0 for all, or more", o.MaxBlocks)
	case o.Rows < 0:
		return fmt.Errorf("evaluation: %d blocks at a time: want 0 to let the shapes decide, or more", o.Rows)
	}
	return nil
}

// Stream returns the seed of an evaluation's draws, apart from that of training under the same seed: programs name
// their draws alike.
func (o Options) Stream() uint64 {
	const apart = 0x6576616c75617465
	return o.Seed ^ apart
}

// CheckLayout reports blocks that a model cannot be measured on: it wants that kind of layout, patches of that many tokens
// and at least that many patches a block. Blocks that are too short are an [ErrShortBlock].
func CheckLayout(blocks *corpus.Blocks, kind corpus.Kind, patch, least int) error {
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

// Finite fails on a number that says the weights are broken; it also could not be written as JSON.
func Finite(what string, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("the %s is %v: the weights have diverged or are damaged; go back to an earlier checkpoint", what, v)
	}
	return nil
}
