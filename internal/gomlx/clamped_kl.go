package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) clampedKL(op *nn.ClampedKL) {
	m, s := tr.in(op.Mean), tr.in(op.LogStd)
	kl := ml.Sub(ml.MulScalar(ml.AddScalar(ml.Add(ml.Square(m), ml.Exp(ml.MulScalar(s, 2.))), -1.), .5), s)
	floor := ml.MulScalar(ml.OnesLike(kl), float64(op.Clamp))
	kl = ml.Where(ml.GreaterThan(kl, floor), kl, floor)
	tr.out(op.Y, ml.DivScalar(ml.ReduceAllSum(kl), float64(op.Mean.Rows())))
}
