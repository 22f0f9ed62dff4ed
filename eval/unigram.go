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

// Unigram scores the token-level unigram of the training text, and the uniform model, at the positions where [LM] scores
// a model with patches of that many tokens under the same options. Both texts are in the language model's layout; all
// blocks of train are counted.
func Unigram(ctx context.Context, train, heldOut *corpus.Blocks, vocab, patch int, o Options) (BaselineResult, error) {
	err := errors.Join(o.check(), checkLayout(heldOut, corpus.Language, patch, windowless(patch, o.ReferenceWindows)+1),
		checkLayout(train, corpus.Language, 1, 1))
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
	s := selectBlocks(heldOut, o, arAtOnce)
	t := heldOut.Layout().BlockSize
	x := extentOf(patch, t, o.ReferenceWindows)
	err = s.each(ctx, o.Progress, func(batch, rows int, ids []int32) error {
		for r := range rows {
			for w := range x.windows {
				scores.Add(batch*s.rows+r, unigram.Score(ids[r*t+(w+1)*patch:]))
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
