package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) weightedSum(op *nn.WeightedSum) {
	weights := ml.StopGradient(ml.Reshape(tr.in(op.Weights), op.X.Shape()...))
	tr.out(op.Y, ml.ReduceAllSum(ml.Mul(tr.in(op.X), weights)))
}
