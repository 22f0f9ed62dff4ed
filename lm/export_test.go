package lm

import (
	"context"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/generate"
)

// Further and NewFurther let tests draw further patches themselves.
type Further = further

var NewFurther = newFurther

// Score exports score.
func (f *Further) Score(ctx context.Context, scores *brier.Accumulator, first, rows int, tokens []int32, d eval.Draw) error {
	return f.score(ctx, scores, first, rows, tokens, d)
}

// SetSizes sets how many draws a model's source makes at once.
func SetSizes(s generate.Source, sizes ...int) { s.(*source).sizes = sizes }
