package gomlx

import (
	"math"

	"github.com/calm-go/calm/nn"
	"github.com/gomlx/compute/dtypes"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) sinusoidalEmbedding(op *nn.SinusoidalEmbedding) {
	half := op.Y.Cols() / 2
	frequencies := make([]float64, half)
	for j := range frequencies {
		frequencies[j] = math.Pow(10000, -float64(j)/float64(half))
	}
	// The product is float32's by definition.
	t := ml.MulScalar(ml.ConvertDType(tr.in(op.T), dtypes.Float32), op.Scale)
	t = ml.Floor(ml.ConvertDType(ml.Reshape(t, op.T.Size(), 1), tr.dtype))
	angle := ml.Mul(t, ml.Reshape(ml.Const(tr.g, frequencies), 1, half))
	tr.out(op.Y, ml.Concatenate([]*ml.Node{ml.Cos(angle), ml.Sin(angle)}, -1))
}
