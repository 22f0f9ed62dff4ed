package eval

import (
	"context"
	"errors"
	"fmt"

	"github.com/calm-go/calm/corpus"
	"github.com/calm-go/calm/eval/brier"
)

// BaselineResult holds the scores of two models that know little, at the positions of a language model's.
type BaselineResult struct {
	Unigram brier.Result `json:"unigram"` // knows how often each token occurs in the training text
	Uniform brier.Result `json:"uniform"` // knows nothing but the size of the vocabulary
}

// Unigram scores the token-level unigram of the training text, and the uniform model, on the patches that [LM] predicts
// with the same options: all of a block but its first. Both texts are in the language model's layout; all blocks of
// train are counted. patch is the model's patch size, at least 4.
func Unigram(ctx context.Context, train, heldOut *corpus.Blocks, vocab, patch int, o Options) (BaselineResult, error) {
	err := errors.Join(o.check(), checkLayout(heldOut, corpus.Language, patch, 2), checkLayout(train, corpus.Language, 1, 1))
	if err != nil {
		return BaselineResult{}, err
	}
	if patch < brier.N {
		return BaselineResult{}, fmt.Errorf("unigram baseline: patches of %d tokens: %w; want %d or more", patch, ErrShortPatch, brier.N)
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
	s := selectBlocks(heldOut, o, arAtOnce)
	t := heldOut.Layout().BlockSize
	err = s.each(ctx, o.Progress, func(batch, rows int, ids []int32) error {
		for r := range rows {
			unigram.Add(&scores, batch*s.rows+r, ids[r*t+patch:(r+1)*t], patch)
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

// count returns how often each token occurs in the blocks [V].
func count(ctx context.Context, blocks *corpus.Blocks, vocab int) ([]int64, error) {
	counts := make([]int64, vocab)
	s := selectBlocks(blocks, Options{}, arAtOnce)
	err := s.each(ctx, nil, func(_, _ int, ids []int32) error {
		for _, id := range ids {
			if id < 0 || int(id) >= vocab {
				return fmt.Errorf("unigram baseline: the text has the token %d, the vocabulary ends at %d: it was made by another tokenizer", id, vocab-1)
			}
			counts[id]++
		}
		return nil
	})
	return counts, err
}
