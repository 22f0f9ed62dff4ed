package eval

import (
	"context"
	"errors"
	"fmt"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval/brier"
)

// countedAtOnce is the number of tokens that are read at a time.
const countedAtOnce = 1 << 13

// BaselineResult holds the scores of two trivial models in percent, for comparison with a language model's.
type BaselineResult struct {
	Unigram brier.Result `json:"unigram"` // predicts each token with its frequency in the training text
	Uniform brier.Result `json:"uniform"` // predicts every token of the vocabulary with the same probability
}

// Unigram scores the unigram model of the training text and the uniform model. It scores them at the positions of heldOut at
// which a language model with patches of patch tokens is scored under the same options. Both texts must be in the language
// model's layout. The frequencies are those of all blocks of train. Errors: options or a layout that cannot be measured, a
// token outside the vocabulary of vocab tokens, and ctx's error when ctx ends.
func Unigram(ctx context.Context, train, heldOut *corpus.Blocks, vocab, patch int, o Options) (BaselineResult, error) {
	err := errors.Join(o.Check(), CheckLayout(heldOut, corpus.Language, patch, LeastPatches(patch, o.ReferenceWindows)),
		CheckLayout(train, corpus.Language, 1, 1))
	if err != nil {
		return BaselineResult{}, err
	}
	counts, err := count(ctx, train, vocab)
	if err != nil {
		return BaselineResult{}, err
	}
	unigram, err := brier.NewUnigram(counts)
	if err != nil {
		return BaselineResult{}, err
	}
	var scores brier.Accumulator
	s := Select(heldOut, o, countedAtOnce)
	t := s.BlockSize()
	x := ExtentOf(patch, t, o.ReferenceWindows)
	err = s.Each(ctx, o.Progress, func(batch, rows int, ids []int32) error {
		for r := range rows {
			for w := range x.Windows {
				scores.Add(batch*s.Rows+r, unigram.Score(ids[r*t+(w+1)*patch:]))
			}
		}
		return nil
	})
	if err != nil {
		return BaselineResult{}, err
	}
	r := BaselineResult{Unigram: scores.Result(o.Seed), Uniform: brier.Uniform(vocab).Result()}
	r.Uniform.Positions, r.Uniform.Blocks = r.Unigram.Positions, r.Unigram.Blocks
	return r, nil
}

// count returns how often each token occurs in the blocks, [V].
func count(ctx context.Context, blocks *corpus.Blocks, vocab int) ([]int64, error) {
	counts := make([]int64, vocab)
	s := Select(blocks, Options{}, countedAtOnce)
	err := s.Each(ctx, nil, func(_, _ int, ids []int32) error {
		for _, id := range ids {
			if id < 0 || int(id) >= vocab {
				return fmt.Errorf("unigram baseline: the text has token %d, but the vocabulary ends at %d: the text was made with another tokenizer", id, vocab-1)
			}
			counts[id]++
		}
		return nil
	})
	return counts, err
}
