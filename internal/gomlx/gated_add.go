package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) gatedAdd(op *nn.GatedAdd) {
	tr.out(op.Y, ml.Add(tr.groups(op.X, op.Gate), ml.Mul(tr.repeating(op.Gate), tr.groups(op.H, op.Gate))))
}
