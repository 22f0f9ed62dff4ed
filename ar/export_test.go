package ar

import (
	"context"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
)

// Further and NewFurther let tests draw further tokens themselves.
type Further = further

var NewFurther = newFurther

// Score exports score.
func (f *Further) Score(ctx context.Context, scores *brier.Accumulator, first, rows int, d eval.Draw) error {
	return f.score(ctx, scores, first, rows, d)
}

// Choose exports choose.
var Choose = choose
