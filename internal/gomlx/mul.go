package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) mul(op *nn.Mul) {
	tr.out(op.Y, ml.Mul(tr.in(op.X), ml.StopGradient(ml.Reshape(tr.in(op.Factor), op.X.Shape()...))))
}
