package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) reparameterize(op *nn.Reparameterize) {
	eps := ml.StopGradient(ml.Reshape(tr.in(op.Eps), op.Mean.Shape()...))
	tr.out(op.Y, ml.Add(tr.in(op.Mean), ml.Mul(ml.Exp(tr.in(op.LogStd)), eps)))
}
