package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) linear(op *nn.Linear) {
	n, in, out := op.X.Rows(), op.X.Cols(), op.Y.Cols()
	w := ml.Slice(tr.in(op.W), ml.AxisRange(op.Row, op.Row+out), ml.AxisRange(op.Col, op.Col+in))
	y := ml.Einsum("nk,mk->nm", tr.rows(op.X), w)
	if op.B != nil {
		y = ml.Add(y, ml.Reshape(ml.Slice(tr.in(op.B), ml.AxisRange(op.Row, op.Row+out)), 1, out))
	}
	if op.Add != nil {
		period := op.Add.Rows()
		y = ml.Add(ml.Reshape(y, n/period, period, out), ml.Reshape(tr.in(op.Add), 1, period, out))
	}
	if op.Act == nn.SiLUActivation {
		y = silu(y)
	}
	tr.out(op.Y, y)
}
