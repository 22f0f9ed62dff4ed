package gomlx

import (
	"math"

	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

// prefixAttention gathers the context of each row, any one for absent rows, and appends the row's own keys. The own keys
// begin at n, which no length exceeds.
func (tr *translator) prefixAttention(op *nn.PrefixAttention) {
	r, t, kv, d := op.Q.Dim(0), op.Q.Dim(1), op.KVHeads, op.Q.Cols()/op.Heads
	group, n := op.Heads/kv, op.KPrefix.Dim(1)
	context := tr.in(op.Context)
	absent := ml.LessThan(context, ml.ZerosLike(context))
	index := ml.Reshape(ml.Where(absent, ml.ZerosLike(context), context), r, 1)
	keys := func(prefix, own *nn.Tensor) *ml.Node {
		shared := ml.Reshape(ml.Gather(tr.in(prefix), index), r, n, kv, d)
		return ml.Concatenate([]*ml.Node{shared, ml.Reshape(tr.in(own), r, t, kv, d)}, 1)
	}
	k, v := keys(op.KPrefix, op.K), keys(op.VPrefix, op.V)
	scores := ml.Einsum("rtkgd,rskd->rkgts", ml.Reshape(tr.in(op.Q), r, t, kv, group, d), k)
	scores = ml.DivScalar(scores, math.Sqrt(float64(d)))
	dims := []int{r, kv, group, t, n + t}
	key, query := tr.iota32(4, dims...), tr.iota32(3, dims...)
	length := ml.BroadcastToDims(ml.Reshape(tr.in(op.Length), r, 1, 1, 1, 1), dims...)
	own := ml.AddScalar(key, -n)
	seen := ml.LogicalOr(ml.LessThan(key, length), ml.LogicalAnd(ml.GreaterOrEqual(own, ml.ZerosLike(own)), ml.LessOrEqual(own, query)))
	p := ml.Softmax(ml.Where(seen, scores, ml.MulScalar(ml.OnesLike(scores), -1e30)), -1)
	y := ml.Reshape(ml.Einsum("rkgts,rskd->rtkgd", p, v), op.Q.Shape()...)
	gone := ml.BroadcastToDims(ml.Reshape(absent, r, 1, 1), op.Q.Shape()...)
	tr.out(op.Y, ml.Where(gone, ml.ZerosLike(y), y))
}
