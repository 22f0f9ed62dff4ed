package gomlx

import (
	"github.com/calm-go/calm/nn"
	"github.com/gomlx/compute/dtypes"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) crossEntropy(op *nn.CrossEntropy) {
	n, v := op.H.Rows(), op.W.Dim(0)
	logits := ml.Einsum("nd,vd->nv", tr.rows(op.H), tr.in(op.W))
	labels := ml.Reshape(tr.in(op.Labels), n)
	counts := ml.NotEqual(labels, ml.Scalar(tr.g, dtypes.Int32, -100))
	weight := ml.ConvertDType(counts, tr.dtype)
	total := ml.ReduceAllSum(weight)
	total = ml.Max(total, ml.OnesLike(total))
	own := ml.OneHot(ml.Where(counts, labels, ml.ZerosLike(labels)), v, tr.dtype) // [n, v]
	logP := ml.LogSoftmax(logits, -1)
	tr.out(op.Loss, ml.Neg(ml.Div(ml.ReduceAllSum(ml.Mul(ml.ReduceSum(ml.Mul(own, logP), -1), weight)), total)))

	hits := ml.ConvertDType(ml.Equal(ml.ArgMax(logits, -1, dtypes.Int32), labels), tr.dtype)
	tr.out(op.Hits, ml.ReduceAllSum(ml.Mul(hits, weight)))
	p := ml.StopGradient(ml.Exp(logP))
	brier := ml.Sub(ml.MulScalar(ml.ReduceSum(ml.Mul(own, p), -1), 2.), ml.ReduceSum(ml.Square(p), -1))
	tr.out(op.Brier, ml.Div(ml.ReduceAllSum(ml.Mul(brier, weight)), total))
}
