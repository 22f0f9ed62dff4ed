package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) noisyTarget(op *nn.NoisyTarget) {
	target := ml.Add(tr.repeating(op.Mean), ml.Mul(ml.Exp(tr.repeating(op.LogStd)), tr.in(op.Eps)))
	t := ml.Reshape(tr.in(op.T), op.Eps.Dim(0), op.Eps.Dim(1), 1)
	signal, sigma := t, ml.Sub(ml.OnesLike(t), t)
	if op.Signal != nil {
		signal, sigma = tr.lookUp(wide(op.Signal), t), tr.lookUp(wide(op.Sigma), t)
	}
	target = ml.StopGradient(target)
	tr.out(op.Target, target)
	tr.out(op.Y, ml.Add(ml.Mul(signal, target), ml.Mul(sigma, tr.in(op.Noise))))
}
