package gomlx

import (
	"github.com/calm-go/calm/nn"
	"github.com/gomlx/compute/dtypes"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) argMax(op *nn.ArgMax) {
	logits := ml.Einsum("nd,vd->nv", tr.rows(op.H), tr.in(op.W))
	tr.out(op.IDs, ml.ArgMax(logits, -1, dtypes.Int32))
}
