package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) flowLoss(op *nn.FlowLoss) {
	d := ml.Sub(tr.in(op.V), ml.StopGradient(ml.Sub(tr.in(op.Target), tr.in(op.Noise))))
	terms := ml.ReduceMean(ml.Square(d), -1)
	tr.out(op.Terms, terms)
	tr.out(op.Loss, tr.weightedMean(terms, op.Weight))
}
