package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) layerNorm(op *nn.LayerNorm) {
	x := tr.rows(op.X)
	x = normalized(ml.Sub(x, rowMean(x)), op.Eps)
	if op.W != nil {
		x = ml.Add(ml.Mul(x, tr.rows(op.W)), tr.rows(op.B))
	}
	tr.out(op.Y, x)
}
