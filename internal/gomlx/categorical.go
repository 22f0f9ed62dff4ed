package gomlx

import (
	"github.com/calm-go/calm/nn"
	"github.com/gomlx/compute/dtypes"
	ml "github.com/gomlx/gomlx/core/graph"
)

// categorical forms running sums as products with a triangle.
func (tr *translator) categorical(op *nn.Categorical) {
	n, v, s := op.H.Rows(), op.W.Dim(0), op.U.Dim(0)
	logits := ml.Einsum("nd,vd->nv", tr.rows(op.H), tr.in(op.W))
	labels := ml.Reshape(tr.in(op.Labels), n)
	counts := ml.NotEqual(labels, ml.Scalar(tr.g, dtypes.Int32, -100))
	own := ml.OneHot(ml.Where(counts, labels, ml.ZerosLike(labels)), v, tr.dtype) // [n, v]
	logP := ml.LogSoftmax(logits, -1)
	tr.out(op.LogP, ml.Mul(ml.ReduceSum(ml.Mul(own, logP), -1), ml.ConvertDType(counts, tr.dtype)))
	p := ml.Exp(logP)
	tr.out(op.Collision, ml.ReduceSum(ml.Square(p), -1))
	tr.out(op.Best, ml.ArgMax(logits, -1, dtypes.Int32))
	upTo := ml.ConvertDType(ml.LessOrEqual(tr.iota32(0, v, v), tr.iota32(1, v, v)), tr.dtype)
	sums := ml.BroadcastToDims(ml.Reshape(ml.Einsum("nv,vw->nw", p, upTo), 1, n, v), s, n, v)
	u := ml.BroadcastToDims(ml.Reshape(tr.in(op.U), s, n, 1), s, n, v)
	passed := ml.ConvertDType(ml.LessOrEqual(sums, u), dtypes.Int32)
	tr.out(op.Draws, ml.ReduceSum(passed, -1))
}
