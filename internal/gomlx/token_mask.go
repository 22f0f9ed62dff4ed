package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) tokenMask(op *nn.TokenMask) {
	keep := ml.NotEqual(ml.Reshape(tr.in(op.Keep), op.IDs.Shape()...), ml.ScalarZero(tr.g, tr.dtype))
	tr.out(op.Y, ml.Where(keep, tr.in(op.IDs), ml.ZerosLike(tr.in(op.IDs))))
}
