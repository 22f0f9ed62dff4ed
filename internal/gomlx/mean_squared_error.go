package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) meanSquaredError(op *nn.MeanSquaredError) {
	n, z, period := op.Pred.Rows(), op.Pred.Cols(), op.Target.Rows()
	d := ml.Sub(ml.Reshape(tr.in(op.Pred), n/period, period, z), ml.Reshape(ml.StopGradient(tr.in(op.Target)), 1, period, z))
	errors := ml.Reshape(ml.DivScalar(ml.ReduceSum(ml.Square(d), -1), float64(z)), n) // of each row
	weight := ml.OnesLike(errors)
	if op.Weight != nil {
		p := op.Weight.Size()
		weight = ml.Reshape(ml.Mul(ml.Reshape(weight, n/p, p), ml.Reshape(tr.in(op.Weight), 1, p)), n)
	}
	total := ml.ReduceAllSum(weight)
	total = ml.Where(ml.Equal(total, ml.ZerosLike(total)), ml.OnesLike(total), total)
	tr.out(op.Loss, ml.Div(ml.ReduceAllSum(ml.Mul(weight, errors)), total))
}
