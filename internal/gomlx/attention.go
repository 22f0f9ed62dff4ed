package gomlx

import (
	"math"

	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) attention(op *nn.Attention) {
	b, t, kv, d := op.Q.Dim(0), op.Q.Dim(1), op.KVHeads, op.Q.Cols()/op.Heads
	group := op.Heads / kv
	k, v := ml.Reshape(tr.in(op.K), b, t, kv, d), ml.Reshape(tr.in(op.V), b, t, kv, d)
	scores := ml.Einsum("btkgd,bskd->bkgts", ml.Reshape(tr.in(op.Q), b, t, kv, group, d), k)
	scores = ml.DivScalar(scores, math.Sqrt(float64(d)))
	seen := ml.LessOrEqual(tr.iota32(4, b, kv, group, t, t), tr.iota32(3, b, kv, group, t, t))
	p := ml.Softmax(ml.Where(seen, scores, ml.MulScalar(ml.OnesLike(scores), -1e30)), -1)
	tr.out(op.Y, ml.Einsum("bkgts,bskd->btkgd", p, v))
}
