package nn

import (
	"fmt"
	"slices"
)

// DType is the element type of a tensor.
type DType uint8

// The element types.
const (
	Float32 DType = iota // 4 bytes, IEEE 754
	Int32                // 4 bytes, signed
)

// String returns float32 or int32.
func (d DType) String() string {
	if d == Int32 {
		return "int32"
	}
	return "float32"
}

// Role says where a tensor's values come from.
type Role uint8

// The roles.
const (
	Value     Role = iota // computed by an operation
	Input                 // written by the caller before a run
	RandomVar             // drawn by the engine at each run, see Graph.Random
	State                 // in memory that the caller binds to the program and keeps, such as a key-value cache
	Parameter             // a model's parameter
)

// Tensor is a node of a Graph: a shape and where its values come from. Tensors are row-major.
type Tensor struct {
	graph *Graph
	id    int
	shape []int
	dtype DType
	role  Role
	name  string
	base  *Tensor // the tensor this one is a reshaped view of, nil if it is its own
	param *Param
	dist  Dist
}

// Shape returns the tensor's dimensions. The caller must not change it.
func (t *Tensor) Shape() []int { return t.shape }

// Dim returns dimension i; negative i counts from the last.
func (t *Tensor) Dim(i int) int {
	if i < 0 {
		i += len(t.shape)
	}
	return t.shape[i]
}

// Size returns the number of elements.
func (t *Tensor) Size() int { return size(t.shape) }

// Cols returns the last dimension, and Rows the product of the others: most operations see a tensor as a matrix.
func (t *Tensor) Cols() int {
	if len(t.shape) == 0 {
		return 1
	}
	return t.shape[len(t.shape)-1]
}

// Rows returns the product of all dimensions but the last.
func (t *Tensor) Rows() int { return t.Size() / max(t.Cols(), 1) }

// DType returns the element type.
func (t *Tensor) DType() DType { return t.dtype }

// Role returns where the values come from.
func (t *Tensor) Role() Role { return t.Root().role }

// Name returns the name of an input, random tensor, state or parameter, and "" for a computed value.
func (t *Tensor) Name() string { return t.name }

// ID numbers the tensors of a graph from 0.
func (t *Tensor) ID() int { return t.id }

// Root returns the tensor whose memory t shares: t itself unless t is a reshaped view.
func (t *Tensor) Root() *Tensor {
	for t.base != nil {
		t = t.base
	}
	return t
}

// Param returns the parameter that a tensor of role Parameter reads, nil for other roles.
func (t *Tensor) Param() *Param { return t.Root().param }

// Dist returns the distribution of a tensor of role RandomVar.
func (t *Tensor) Dist() Dist { return t.Root().dist }

// String returns the name, or the number of a tensor without name, and the shape.
func (t *Tensor) String() string {
	if t.name != "" {
		return fmt.Sprintf("%s %v", t.name, t.shape)
	}
	return fmt.Sprintf("#%d %v", t.id, t.shape)
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func (t *Tensor) is(shape ...int) bool { return slices.Equal(t.shape, shape) }

// check panics with a message about op unless ok. Shapes come from the program, never from data.
func check(ok bool, op, format string, args ...any) {
	if !ok {
		panic("nn: " + op + ": " + fmt.Sprintf(format, args...))
	}
}
