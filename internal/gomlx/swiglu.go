package gomlx

import (
	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) swiGLU(op *nn.SwiGLU) {
	tr.out(op.Y, ml.Mul(silu(tr.in(op.Gate)), tr.in(op.Up)))
}
