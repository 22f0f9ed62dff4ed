package gomlx

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/nn"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	ml "github.com/gomlx/gomlx/core/graph"
)

// translator writes operations of nn as nodes of GoMLX. Its nodes have the shapes of their tensors.
type translator struct {
	g     *ml.Graph
	dtype dtypes.DType
	nodes map[*nn.Tensor]*ml.Node // of roots
}

// in returns a tensor's node.
func (tr *translator) in(t *nn.Tensor) *ml.Node {
	n := tr.nodes[t.Root()]
	if n == nil {
		panic(fmt.Sprintf("gomlx: %v is read before it is computed", t))
	}
	return ml.Reshape(n, t.Shape()...)
}

// rows returns a tensor as a matrix.
func (tr *translator) rows(t *nn.Tensor) *ml.Node { return ml.Reshape(tr.in(t), t.Rows(), t.Cols()) }

// out names the node of a computed tensor.
func (tr *translator) out(t *nn.Tensor, n *ml.Node) { tr.nodes[t] = ml.Reshape(n, t.Shape()...) }

func (tr *translator) op(op nn.Op) {
	switch op := op.(type) {
	case *nn.Embedding:
		tr.embedding(op)
	case *nn.MaskIDs:
		keep := ml.NotEqual(ml.Reshape(tr.in(op.Keep), op.IDs.Shape()...), ml.ScalarZero(tr.g, tr.dtype))
		tr.out(op.Y, ml.Where(keep, tr.in(op.IDs), ml.ZerosLike(tr.in(op.IDs))))
	case *nn.Linear:
		tr.linear(op)
	case *nn.SwiGLU:
		tr.out(op.Y, ml.Mul(silu(tr.in(op.Gate)), tr.in(op.Up)))
	case *nn.Mul:
		tr.out(op.Y, ml.Mul(tr.in(op.X), ml.StopGradient(ml.Reshape(tr.in(op.Factor), op.X.Shape()...))))
	case *nn.RMSNorm:
		tr.out(op.Y, ml.Mul(normalized(tr.rows(op.X), op.Eps), tr.rows(op.W)))
	case *nn.LayerNorm:
		tr.layerNorm(op)
	case *nn.Rotary:
		tr.rotary(op)
	case *nn.Attention:
		tr.attention(op)
	case *nn.PrefixAttention:
		tr.prefixAttention(op)
	case *nn.Reparameterize:
		eps := ml.StopGradient(ml.Reshape(tr.in(op.Eps), op.Mean.Shape()...))
		tr.out(op.Y, ml.Add(tr.in(op.Mean), ml.Mul(ml.Exp(tr.in(op.LogStd)), eps)))
	case *nn.ClampedKL:
		tr.clampedKL(op)
	case *nn.WeightedSum:
		tr.out(op.Y, ml.ReduceAllSum(ml.Mul(tr.in(op.X), ml.StopGradient(ml.Reshape(tr.in(op.Weights), op.X.Shape()...)))))
	case *nn.CrossEntropy:
		tr.crossEntropy(op)
	case *nn.Categorical:
		tr.categorical(op)
	case *nn.ArgMax:
		logits := ml.Einsum("nd,vd->nv", tr.rows(op.H), tr.in(op.W))
		tr.out(op.IDs, ml.ArgMax(logits, -1, dtypes.Int32))
	case *nn.EnergyScore:
		tr.energyScore(op)
	case *nn.MeanSquaredError:
		tr.meanSquaredError(op)
	case *nn.Sinusoid:
		tr.sinusoid(op)
	case *nn.Modulate:
		scale := ml.AddScalar(tr.repeating(op.Scale), 1.)
		tr.out(op.Y, ml.Add(ml.Mul(tr.groups(op.X, op.Scale), scale), tr.repeating(op.Shift)))
	case *nn.GatedAdd:
		tr.out(op.Y, ml.Add(tr.groups(op.X, op.Gate), ml.Mul(tr.repeating(op.Gate), tr.groups(op.H, op.Gate))))
	case *nn.NoisyTarget:
		tr.noisyTarget(op)
	case *nn.FlowLoss:
		tr.flowLoss(op)
	case *nn.DiffusionLoss:
		tr.diffusionLoss(op)
	default:
		panic(fmt.Sprintf("gomlx: no translation of %T", op))
	}
}

func silu(x *ml.Node) *ml.Node { return ml.Mul(x, ml.Sigmoid(x)) }

// rowMean is the mean of each row of a matrix, [rows, 1].
func rowMean(x *ml.Node) *ml.Node {
	rows, cols := x.Shape().Dimensions[0], x.Shape().Dimensions[1]
	return ml.Reshape(ml.DivScalar(ml.ReduceSum(x, -1), float64(cols)), rows, 1)
}

// normalized divides each row of a matrix by its root mean square.
func normalized(x *ml.Node, eps float32) *ml.Node {
	return ml.Div(x, ml.Sqrt(ml.AddScalar(rowMean(ml.Square(x)), float64(eps))))
}

// iota32 is 0, 1, ... along one axis of a shape, as int32.
func (tr *translator) iota32(axis int, dims ...int) *ml.Node {
	return ml.Iota(tr.g, shapes.Make(dtypes.Int32, dims...), axis)
}

func (tr *translator) embedding(op *nn.Embedding) {
	table, v, d := tr.in(op.Table), op.Table.Dim(0), op.Table.Dim(1)
	if op.PadID >= 0 {
		isPad := ml.Equal(tr.iota32(0, v, d), ml.Scalar(tr.g, dtypes.Int32, op.PadID))
		table = ml.Where(isPad, ml.StopGradient(table), table)
	}
	tr.out(op.Y, ml.Gather(table, ml.Reshape(tr.in(op.IDs), op.IDs.Size(), 1)))
}

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

func (tr *translator) layerNorm(op *nn.LayerNorm) {
	x := tr.rows(op.X)
	x = normalized(ml.Sub(x, rowMean(x)), op.Eps)
	if op.W != nil {
		x = ml.Add(ml.Mul(x, tr.rows(op.W)), tr.rows(op.B))
	}
	tr.out(op.Y, x)
}

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

// prefixAttention gathers each row's context, absent rows' being any, and puts the row's own keys behind it. Lengths are
// at most n, so what is below them is no own key.
func (tr *translator) prefixAttention(op *nn.PrefixAttention) {
	r, t, kv, d := op.Q.Dim(0), op.Q.Dim(1), op.KVHeads, op.Q.Cols()/op.Heads
	group, n := op.Heads/kv, op.KPrefix.Dim(1)
	context := tr.in(op.Context)
	absent := ml.LessThan(context, ml.ZerosLike(context))
	index := ml.Reshape(ml.Where(absent, ml.ZerosLike(context), context), r, 1)
	behind := func(prefix, own *nn.Tensor) *ml.Node {
		shared := ml.Reshape(ml.Gather(tr.in(prefix), index), r, n, kv, d)
		return ml.Concatenate([]*ml.Node{shared, ml.Reshape(tr.in(own), r, t, kv, d)}, 1)
	}
	k, v := behind(op.KPrefix, op.K), behind(op.VPrefix, op.V)
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

func (tr *translator) clampedKL(op *nn.ClampedKL) {
	m, s := tr.in(op.Mean), tr.in(op.LogStd)
	kl := ml.Sub(ml.MulScalar(ml.AddScalar(ml.Add(ml.Square(m), ml.Exp(ml.MulScalar(s, 2.))), -1.), .5), s)
	floor := ml.MulScalar(ml.OnesLike(kl), float64(op.Clamp))
	kl = ml.Where(ml.GreaterThan(kl, floor), kl, floor)
	tr.out(op.Y, ml.DivScalar(ml.ReduceAllSum(kl), float64(op.Mean.Rows())))
}

func (tr *translator) crossEntropy(op *nn.CrossEntropy) {
	n, v := op.H.Rows(), op.W.Dim(0)
	logits := ml.Einsum("nd,vd->nv", tr.rows(op.H), tr.in(op.W))
	labels := ml.Reshape(tr.in(op.Labels), n)
	counts := ml.NotEqual(labels, ml.Scalar(tr.g, dtypes.Int32, -100))
	weight := ml.ConvertDType(counts, tr.dtype)
	total := ml.ReduceAllSum(weight)
	total = ml.Max(total, ml.OnesLike(total))
	own := ml.OneHot(ml.Where(counts, labels, ml.ZerosLike(labels)), v, tr.dtype) // [n, v]
	logP := ml.LogSoftmax(logits, -1)
	tr.out(op.Loss, ml.Neg(ml.Div(ml.ReduceAllSum(ml.Mul(ml.ReduceSum(ml.Mul(own, logP), -1), weight)), total)))

	hits := ml.ConvertDType(ml.Equal(ml.ArgMax(logits, -1, dtypes.Int32), labels), tr.dtype)
	tr.out(op.Hits, ml.ReduceAllSum(ml.Mul(hits, weight)))
	p := ml.StopGradient(ml.Exp(logP))
	brier := ml.Sub(ml.MulScalar(ml.ReduceSum(ml.Mul(own, p), -1), 2.), ml.ReduceSum(ml.Square(p), -1))
	tr.out(op.Brier, ml.Div(ml.ReduceAllSum(ml.Mul(brier, weight)), total))
}

func (tr *translator) energyScore(op *nn.EnergyScore) {
	n, p, z, m := op.Pred.Dim(0), op.Pred.Dim(1), op.Pred.Dim(2), op.Eps.Dim(0)
	x := tr.in(op.Pred)
	y := ml.Add(ml.Reshape(tr.in(op.Mean), 1, p, z), ml.Mul(ml.Exp(ml.Reshape(tr.in(op.LogStd), 1, p, z)), tr.in(op.Eps)))
	beta := float64(op.Beta)
	toY := distances(ml.Reshape(x, n, 1, p, z), ml.Reshape(ml.StopGradient(y), 1, m, p, z), beta)
	toX := distances(ml.Reshape(x, n, 1, p, z), ml.Reshape(x, 1, n, p, z), beta)
	distY := ml.DivScalar(ml.ReduceSum(toY, 0, 1), float64(n*m))
	distX := ml.DivScalar(ml.ReduceSum(toX, 0, 1), float64(n*(n-1)))
	weight := ml.OnesLike(distY)
	if op.Weight != nil {
		weight = ml.Reshape(tr.in(op.Weight), p)
	}
	total := ml.ReduceAllSum(weight)
	total = ml.Where(ml.Equal(total, ml.ZerosLike(total)), ml.OnesLike(total), total)
	score := ml.Sub(ml.MulScalar(distY, 2.), distX)
	tr.out(op.Loss, ml.Div(ml.ReduceAllSum(ml.Mul(weight, score)), total))
	tr.out(op.DistY, distY)
	tr.out(op.DistX, distX)
}

func (tr *translator) meanSquaredError(op *nn.MeanSquaredError) {
	n, z, period := op.Pred.Rows(), op.Pred.Cols(), op.Target.Rows()
	d := ml.Sub(ml.Reshape(tr.in(op.Pred), n/period, period, z), ml.Reshape(ml.StopGradient(tr.in(op.Target)), 1, period, z))
	errors := ml.Reshape(ml.DivScalar(ml.ReduceSum(ml.Square(d), -1), float64(z)), n) // of each row
	weight := ml.OnesLike(errors)
	if op.Weight != nil {
		p := op.Weight.Size()
		weight = ml.Reshape(ml.Mul(ml.Reshape(weight, n/p, p), ml.Reshape(tr.in(op.Weight), 1, p)), n)
	}
	total := ml.ReduceAllSum(weight)
	total = ml.Where(ml.Equal(total, ml.ZerosLike(total)), ml.OnesLike(total), total)
	tr.out(op.Loss, ml.Div(ml.ReduceAllSum(ml.Mul(weight, errors)), total))
}

// distances is |x-y|^beta along the last axis. Where it is 0 it is a constant, since its gradient is 0 by definition.
func distances(x, y *ml.Node, beta float64) *ml.Node {
	squares := ml.ReduceSum(ml.Square(ml.Sub(x, y)), -1)
	none := ml.Equal(squares, ml.ZerosLike(squares))
	safe := ml.Where(none, ml.OnesLike(squares), squares)
	return ml.Where(none, ml.ZerosLike(squares), ml.Exp(ml.MulScalar(ml.Log(safe), beta/2)))
}
