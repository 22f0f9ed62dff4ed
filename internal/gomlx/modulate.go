package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) modulate(op *nn.Modulate) {
	scale := ml.AddScalar(tr.repeating(op.Scale), 1.)
	tr.out(op.Y, ml.Add(ml.Mul(tr.groups(op.X, op.Scale), scale), tr.repeating(op.Shift)))
}
