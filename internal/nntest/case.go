// Package nntest is the test suite that every engine of package nn passes: cases of each operation at several shapes,
// with a naive float64 definition of what the operation computes, and cases of operations that share tensors. An engine's
// tests pass a [Run] to [Check], which compares its values with the definitions and its gradients with central differences
// of them. [CheckTable] fails where the engine lacks an operation.
package nntest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/random"
)

// Case is one graph with its definition. Its inputs are trainable parameters, so that the gradients of all inputs are
// checked.
type Case struct {
	Op    string // the operation, as nn.OpName gives it, or "graph" for several together
	Shape string // distinguishes the case from others of Op

	// Build describes the graph.
	Build func(b *Builder)
	// Reference computes the outputs in the order in which Build names them.
	Reference func(v Values) [][]float64

	Tolerance     float64 // of values, relative to the largest of the tensor; 0 for the default
	GradTolerance float64 // of gradients, likewise
	GradFloor     float64 // absolute tolerance of gradients in addition, where their terms cancel

	// Benchmark says that the case is measured and not checked: its definition would take too long.
	Benchmark bool
}

// benchmark returns the case as one that is measured.
func (c Case) benchmark() Case {
	c.Benchmark = true
	return c
}

// Name names the case for a subtest.
func (c Case) Name() string { return c.Op + "/" + c.Shape }

// The default tolerances: a few roundings of float32, since the sums are short.
const (
	usualTolerance     = 3e-6
	usualGradTolerance = 1e-5
)

// Run runs a graph once on an engine: forward, or forward and backward.
type Run func(t testing.TB, g *nn.Graph, in Inputs, training bool) Result

// Inputs are the values of a graph's inputs and random tensors, and of its states before a run, by tensor. An engine
// copies those of states: a run may change them. Parameters have their values in Param.Data.
type Inputs struct {
	Floats map[*nn.Tensor][]float32 // of float32 tensors
	Ints   map[*nn.Tensor][]int32   // of int32 tensors
}

// Result is the result of a run: the outputs and, in training, the loss and the gradients of the parameters that it
// depends on.
type Result struct {
	Floats map[*nn.Tensor][]float32 // float32 outputs
	Ints   map[*nn.Tensor][]int32   // int32 outputs
	Loss   float64                  // sum of the weighted losses, in training
	Grads  map[*nn.Param][]float32  // gradients, in training
}

// Builder describes the graph of a case: inputs by name, outputs to check. All values follow from the case's name.
type Builder struct {
	Graph  *nn.Graph  // the graph that Build describes
	Params *nn.Params // its parameters
	Inputs Inputs     // its inputs' values

	rng      *rand.Rand
	names    map[string]*nn.Tensor
	outputs  []output
	detached map[*nn.Param]bool
}

// output is a tensor to compare; weights, if not nil, are its factors in the loss.
type output struct {
	t       *nn.Tensor
	weights []float32
}

// build describes the graph of the case.
func (c Case) build() *Builder {
	seed := uint64(random.ID(c.Name()))
	b := &Builder{Graph: nn.NewGraph(), Params: nn.NewParams(), rng: rand.New(rand.NewPCG(seed, 1)), names: map[string]*nn.Tensor{},
		Inputs:   Inputs{Floats: map[*nn.Tensor][]float32{}, Ints: map[*nn.Tensor][]int32{}},
		detached: map[*nn.Param]bool{}}
	c.Build(b)
	return b
}

func (b *Builder) uniform(n int, lo, hi float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(lo + (hi-lo)*b.rng.Float64())
	}
	return v
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func (b *Builder) name(name string, t *nn.Tensor) *nn.Tensor {
	if b.names[name] != nil {
		panic(fmt.Sprintf("nntest: the name %q is taken", name))
	}
	b.names[name] = t
	return t
}

// Param adds a trainable parameter with values drawn from [lo, hi), of any shape.
func (b *Builder) Param(name string, lo, hi float64, shape ...int) *nn.Tensor {
	n := size(shape)
	return b.Values(name, b.uniform(n, lo, hi), shape...)
}

// Values adds a trainable parameter with the given values.
func (b *Builder) Values(name string, values []float32, shape ...int) *nn.Tensor {
	var p *nn.Param
	if len(shape) == 2 {
		p = b.Params.Matrix(name, nn.Constant(0), shape[0], shape[1])
	} else {
		p = b.Params.Vector(name, nn.Constant(0), size(shape))
	}
	p.Data = values
	t := b.Graph.Param(p)
	if len(shape) > 2 {
		t = b.Graph.Reshape(t, shape...)
	}
	return b.name(name, t)
}

// Detached adds a trainable parameter that the loss depends on through inputs without gradient only.
func (b *Builder) Detached(name string, lo, hi float64, shape ...int) *nn.Tensor {
	t := b.Param(name, lo, hi, shape...)
	b.detached[t.Param()] = true
	return t
}

// Frozen adds a parameter that is not trained.
func (b *Builder) Frozen(name string, lo, hi float64, shape ...int) *nn.Tensor {
	t := b.Param(name, lo, hi, shape...)
	t.Param().Frozen = true
	return t
}

// Input adds a float32 input with values drawn from [lo, hi).
func (b *Builder) Input(name string, lo, hi float64, shape ...int) *nn.Tensor {
	t := b.name(name, b.Graph.Floats(name, shape...))
	b.Inputs.Floats[t] = b.uniform(t.Size(), lo, hi)
	return t
}

// Random adds a random tensor whose values are given, drawn from [lo, hi).
func (b *Builder) Random(name string, lo, hi float64, shape ...int) *nn.Tensor {
	t := b.name(name, b.Graph.Random(name, nn.Normal(), shape...))
	b.Inputs.Floats[t] = b.uniform(t.Size(), lo, hi)
	return t
}

// State adds a state whose values before a run are drawn from [lo, hi).
func (b *Builder) State(name string, lo, hi float64, shape ...int) *nn.Tensor {
	t := b.name(name, b.Graph.State(name, shape...))
	b.Inputs.Floats[t] = b.uniform(t.Size(), lo, hi)
	return t
}

// Given sets the values of an input or a random tensor.
func (b *Builder) Given(t *nn.Tensor, values ...float32) *nn.Tensor {
	copy(b.Inputs.Floats[t], values)
	return t
}

// IDs adds an int32 input with values drawn from [0, n); the first ones are given.
func (b *Builder) IDs(name string, n int, first []int32, shape ...int) *nn.Tensor {
	t := b.name(name, b.Graph.Ints(name, shape...))
	ids := make([]int32, t.Size())
	for i := range ids {
		ids[i] = int32(b.rng.IntN(n))
	}
	copy(ids, first)
	b.Inputs.Ints[t] = ids
	return t
}

// Output marks tensors whose values are compared.
func (b *Builder) Output(ts ...*nn.Tensor) {
	for _, t := range ts {
		b.Graph.Output(t)
		b.outputs = append(b.outputs, output{t: t})
	}
}

// Differentiate marks a tensor whose values are compared, and adds its sum under random weights to the loss.
func (b *Builder) Differentiate(t *nn.Tensor) {
	b.Graph.Output(t)
	w := b.Graph.Floats(fmt.Sprintf("weights of output %d", len(b.outputs)), t.Shape()...)
	b.Inputs.Floats[w] = b.uniform(t.Size(), -1, 1)
	b.Graph.Loss(b.Graph.WeightedSum(t, w), 1)
	b.outputs = append(b.outputs, output{t, b.Inputs.Floats[w]})
}

// Loss marks the loss of an operation: it is compared, and added to the training loss with the given weight.
func (b *Builder) Loss(t *nn.Tensor, weight float32) {
	b.Graph.Loss(t, weight)
	b.outputs = append(b.outputs, output{t, []float32{weight}})
}

// Values are a case's inputs in float64, by name.
type Values struct {
	floats map[string][]float64
	ints   map[string][]int32
}

// F returns a parameter, a float32 input, a random tensor or a state before the run.
func (v Values) F(name string) []float64 {
	x, ok := v.floats[name]
	if !ok {
		panic(fmt.Sprintf("nntest: no floats %q", name))
	}
	return x
}

// I returns an int32 input.
func (v Values) I(name string) []int32 {
	x, ok := v.ints[name]
	if !ok {
		panic(fmt.Sprintf("nntest: no ints %q", name))
	}
	return x
}

func (b *Builder) values() Values {
	v := Values{map[string][]float64{}, map[string][]int32{}}
	for name, t := range b.names {
		switch {
		case t.DType() == nn.Int32:
			v.ints[name] = b.Inputs.Ints[t]
		case t.Param() != nil:
			v.floats[name] = wide(t.Param().Data)
		default:
			v.floats[name] = wide(b.Inputs.Floats[t])
		}
	}
	return v
}

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}
