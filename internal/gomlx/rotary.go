package gomlx

import (
	"math"

	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) rotary(op *nn.Rotary) {
	b, t, d := op.X.Dim(0), op.X.Dim(1), op.X.Cols()/op.Heads
	position := tr.iota32(1, b, t, 1, 1)
	if op.Start != nil {
		position = ml.Add(position, ml.Reshape(tr.in(op.Start), b, 1, 1, 1))
	}
	frequencies := make([]float64, d/2)
	for i := range frequencies {
		frequencies[i] = math.Pow(op.Theta, -2*float64(i)/float64(d))
	}
	angle := ml.Mul(ml.ConvertDType(position, tr.dtype), ml.Reshape(ml.Const(tr.g, frequencies), 1, 1, 1, d/2))
	x := ml.Reshape(tr.in(op.X), b, t, op.Heads, d)
	low := ml.Slice(x, ml.AxisRange(), ml.AxisRange(), ml.AxisRange(), ml.AxisRange(0, d/2))
	high := ml.Slice(x, ml.AxisRange(), ml.AxisRange(), ml.AxisRange(), ml.AxisRange(d/2, d))
	sin, cos := ml.Sin(angle), ml.Cos(angle)
	tr.out(op.Y, ml.Concatenate([]*ml.Node{ml.Sub(ml.Mul(low, cos), ml.Mul(high, sin)), ml.Add(ml.Mul(high, cos), ml.Mul(low, sin))}, -1))
}
