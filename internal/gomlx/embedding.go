package gomlx

import (
	"github.com/calm-go/calm/nn"
	"github.com/gomlx/compute/dtypes"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) embedding(op *nn.Embedding) {
	table, v, d := tr.in(op.Table), op.Table.Dim(0), op.Table.Dim(1)
	if op.PadID >= 0 {
		isPad := ml.Equal(tr.iota32(0, v, d), ml.Scalar(tr.g, dtypes.Int32, op.PadID))
		table = ml.Where(isPad, ml.StopGradient(table), table)
	}
	tr.out(op.Y, ml.Gather(table, ml.Reshape(tr.in(op.IDs), op.IDs.Size(), 1)))
}
