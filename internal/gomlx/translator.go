package gomlx

import (
	"fmt"

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
		panic(fmt.Errorf("gomlx: %v is read before it is computed", t)) // GoMLX recovers errors only
	}
	return ml.Reshape(n, t.Shape()...)
}

// rows returns a tensor as a matrix.
func (tr *translator) rows(t *nn.Tensor) *ml.Node { return ml.Reshape(tr.in(t), t.Rows(), t.Cols()) }

// out sets the node of a computed tensor.
func (tr *translator) out(t *nn.Tensor, n *ml.Node) { tr.nodes[t] = ml.Reshape(n, t.Shape()...) }

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

// groups returns x as [n, rows, cols], of the rows that part has.
func (tr *translator) groups(x, part *nn.Tensor) *ml.Node {
	return ml.Reshape(tr.in(x), x.Rows()/part.Rows(), part.Rows(), part.Cols())
}

// repeating returns x as [1, rows, cols].
func (tr *translator) repeating(x *nn.Tensor) *ml.Node {
	return ml.Reshape(tr.in(x), 1, x.Rows(), x.Cols())
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// lookUp returns the entries of a table at integers, in their shape.
func (tr *translator) lookUp(table []float64, at *ml.Node) *ml.Node {
	dims := at.Shape().Dimensions
	index := ml.Reshape(ml.ConvertDType(at, dtypes.Int32), at.Shape().Size(), 1)
	return ml.Reshape(ml.Gather(ml.Reshape(ml.Const(tr.g, table), len(table), 1), index), dims...)
}

// weightedMean is the mean of terms [N, P] under the weights of positions, 0 without weight.
func (tr *translator) weightedMean(terms *ml.Node, weight *nn.Tensor) *ml.Node {
	w := ml.OnesLike(terms)
	if weight != nil {
		w = ml.Mul(w, ml.Reshape(tr.in(weight), 1, weight.Size()))
	}
	total := ml.ReduceAllSum(w)
	total = ml.Where(ml.Equal(total, ml.ZerosLike(total)), ml.OnesLike(total), total)
	return ml.Div(ml.ReduceAllSum(ml.Mul(w, terms)), total)
}
