package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) energyScore(op *nn.EnergyScore) {
	n, p, z, m := op.Pred.Dim(0), op.Pred.Dim(1), op.Pred.Dim(2), op.Eps.Dim(0)
	x := tr.in(op.Pred)
	y := ml.Add(ml.Reshape(tr.in(op.Mean), 1, p, z), ml.Mul(ml.Exp(ml.Reshape(tr.in(op.LogStd), 1, p, z)), tr.in(op.Eps)))
	beta := float64(op.Beta)
	toY := distances(ml.Reshape(x, n, 1, p, z), ml.Reshape(ml.StopGradient(y), 1, m, p, z), beta)
	toX := distances(ml.Reshape(x, n, 1, p, z), ml.Reshape(x, 1, n, p, z), beta)
	distY := ml.DivScalar(ml.ReduceSum(toY, 0, 1), float64(n*m))
	distX := ml.DivScalar(ml.ReduceSum(toX, 0, 1), float64(n*(n-1)))
	weight := ml.OnesLike(distY)
	if op.Weight != nil {
		weight = ml.Reshape(tr.in(op.Weight), p)
	}
	total := ml.ReduceAllSum(weight)
	total = ml.Where(ml.Equal(total, ml.ZerosLike(total)), ml.OnesLike(total), total)
	score := ml.Sub(ml.MulScalar(distY, 2.), distX)
	tr.out(op.Loss, ml.Div(ml.ReduceAllSum(ml.Mul(weight, score)), total))
	tr.out(op.DistY, distY)
	tr.out(op.DistX, distX)
}

// distances is |x-y|^beta along the last axis. Where it is 0 it is a constant, since its gradient is 0 by definition.
func distances(x, y *ml.Node, beta float64) *ml.Node {
	squares := ml.ReduceSum(ml.Square(ml.Sub(x, y)), -1)
	none := ml.Equal(squares, ml.ZerosLike(squares))
	safe := ml.Where(none, ml.OnesLike(squares), squares)
	return ml.Where(none, ml.ZerosLike(squares), ml.Exp(ml.MulScalar(ml.Log(safe), beta/2)))
}
