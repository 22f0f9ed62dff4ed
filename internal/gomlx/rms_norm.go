package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) rmsNorm(op *nn.RMSNorm) {
	tr.out(op.Y, ml.Mul(normalized(tr.rows(op.X), op.Eps), tr.rows(op.W)))
}
