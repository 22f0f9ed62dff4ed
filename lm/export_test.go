package lm

import (
	"context"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
)

// Further and NewFurther let tests draw further patches themselves.
type Further = further

var NewFurther = newFurther

// Score is score.
func (f *Further) Score(ctx context.Context, scores *brier.Accumulator, first, rows int, tokens []int32, d eval.Draw) error {
	return f.score(ctx, scores, first, rows, tokens, d)
}
