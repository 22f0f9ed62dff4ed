package nn

import (
	"fmt"
	"slices"
	"strings"
)

// Op is one operation of a graph. Engines choose an implementation by its concrete type. The fields of an operation are
// read-only once it is in a graph; an absent optional tensor is nil.
type Op interface {
	// Describe states what graphs, engines and FLOP counts need to know about the operation.
	Describe() Description
}

// Description is what an operation states about itself.
type Description struct {
	In  []*Tensor // tensors it reads; of the optional ones those that are present
	Out []*Tensor // tensors it computes

	// Writes lists the inputs of role State that a run changes, such as caches; nil for none.
	Writes []*Tensor
	// Grad lists the inputs that gradients flow to. It is nil for an operation without gradient.
	Grad []*Tensor
	// Loss is the scalar output [] that Graph.Loss accepts, nil for none. If it is set, gradients flow from it alone,
	// else from all float32 outputs.
	Loss *Tensor

	// Flops counts the matrix products. It must be stated: Graph refuses an operation without it. NoProducts states
	// that there are none.
	Flops *Flops
	// Reads says how many elements of a parameter a forward run reads, for parameters that are not read whole.
	Reads map[*Tensor]int
	// Sizes are the sizes by which a profile tells operations of one type apart, nil to take them together. For a
	// product: rows of the result, columns of the result, length of the sums.
	Sizes []int
}

// Flops counts the multiplications and additions of an operation's matrix products. A multiplication and an addition
// are two. Elementwise work is not counted; see package flops for what else is left out.
type Flops struct {
	Forward float64 // of a forward run
	// Backward returns the count of a backward run. needs says which inputs the gradient is computed for. A nil
	// Backward means that the backward run has no products.
	Backward func(needs func(*Tensor) bool) float64
	// Attention says that these are the products of queries by keys and of weights by values, which counts keep apart
	// because they grow with the length of the text.
	Attention bool
}

// NoProducts states that an operation has no matrix products.
func NoProducts() *Flops { return &Flops{} }

// Product states that a forward run takes that many FLOPs for one matrix product. A backward run takes as many again
// for each of the operands that needs a gradient. An operand without gradient is not listed.
func Product(forward float64, operands ...*Tensor) *Flops {
	return &Flops{Forward: forward, Backward: func(needs func(*Tensor) bool) float64 {
		sum := 0.
		for _, t := range operands {
			if needs(t) {
				sum += forward
			}
		}
		return sum
	}}
}

// OpName returns the name of an operation's type, such as Linear.
func OpName(op Op) string {
	name := fmt.Sprintf("%T", op)
	return name[strings.LastIndexByte(name, '.')+1:]
}

// verify panics unless the description is complete and fits the graph. A failure is a mistake in the operation's code.
func (d Description) verify(g *Graph, op Op) {
	name := OpName(op)
	for _, t := range slices.Concat(d.In, d.Out) {
		check(t != nil, name, "Describe lists a nil tensor")
		check(t.graph == g, name, "%v belongs to another graph", t)
	}
	check(len(d.Out) > 0, name, "Describe lists no output")
	for _, t := range d.Grad {
		check(slices.Contains(d.In, t), name, "Describe lists a gradient of %v, which is no input", t)
	}
	for _, t := range d.Writes {
		check(slices.Contains(d.In, t) && t.Role() == State, name, "Describe lists %v as written, which is no state it reads", t)
	}
	check(d.Flops != nil, name, "Describe states no Flops: NoProducts() if it has no matrix products")
	if d.Loss != nil {
		check(slices.Contains(d.Out, d.Loss) && d.Loss.is() && d.Loss.dtype == Float32, name,
			"Describe names %v as the loss, which is no scalar output", d.Loss)
		check(len(d.Grad) > 0, name, "Describe names a loss without gradients")
	}
}

// gradients returns the inputs that gradients flow to and the outputs they come from.
func (d Description) gradients() (in, out []*Tensor) {
	switch {
	case len(d.Grad) == 0:
		return nil, nil
	case d.Loss != nil:
		return d.Grad, []*Tensor{d.Loss}
	}
	return d.Grad, d.Out
}

// present returns the tensors that are not nil.
func present(ts ...*Tensor) []*Tensor {
	return slices.DeleteFunc(ts, func(t *Tensor) bool { return t == nil })
}

// repeats reports whether the rows of part, repeated, are as many as those of x, and as long.
func repeats(x, part *Tensor) bool { return x.Cols() == part.Cols() && x.Rows()%part.Rows() == 0 }
