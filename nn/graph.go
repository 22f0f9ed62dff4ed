package nn

import (
	"slices"

	"github.com/calm-go/calm/nn/random"
)

// Graph is a list of operations in the order they run, with the tensors they pass on. The zero value is not usable; see
// NewGraph. Compiling a Graph does not change it.
type Graph struct {
	tensors []*Tensor
	ops     []Op
	params  map[*Param]*Tensor
	terms   []Term
	outputs []*Tensor
}

// Term is one summand of a training loss: Weight times the scalar Loss.
type Term struct {
	Loss   *Tensor // []
	Weight float32 // its factor in the sum
}

// Dist is the distribution a random tensor is drawn from. Engines draw from counter-based streams: the values follow
// from the run's seed and step, the tensor's name and the element's index, never from the number of threads.
type Dist struct {
	Kind   DistKind // the family; the other fields are its parameters
	Lo, Hi float32  // uniform: the interval [Lo, Hi); Bernoulli: the value other than 0 is Hi
	P      float32  // Bernoulli: the probability of Hi
	N      int      // integers: the values are 0 to N-1
}

// DistKind names a family of distributions.
type DistKind uint8

// The families; the functions Normal, Uniform, Bernoulli and Integers make distributions of them.
const (
	NormalDist    DistKind = iota // standard normal
	UniformDist                   // uniform on an interval
	BernoulliDist                 // a value with a probability, else 0
	IntegersDist                  // uniform on the first integers
)

// Normal is the standard normal distribution.
func Normal() Dist { return Dist{Kind: NormalDist} }

// Uniform is the uniform distribution on [lo, hi).
func Uniform(lo, hi float32) Dist { return Dist{Kind: UniformDist, Lo: lo, Hi: hi} }

// Bernoulli is value with probability p, else 0. Inverted dropout with rate r is Bernoulli(1-r, 1/(1-r)).
func Bernoulli(p, value float32) Dist { return Dist{Kind: BernoulliDist, P: p, Hi: value} }

// Integers is the uniform distribution on the integers from 0 to n-1, n at most 2^24, as float32.
func Integers(n int) Dist { return Dist{Kind: IntegersDist, N: n} }

// NewGraph returns an empty graph.
func NewGraph() *Graph { return &Graph{params: map[*Param]*Tensor{}} }

func (g *Graph) newTensor(role Role, dtype DType, name string, shape []int) *Tensor {
	for _, d := range shape {
		check(d > 0, "tensor", "%s has shape %v", name, shape)
	}
	t := &Tensor{graph: g, id: len(g.tensors), shape: slices.Clone(shape), dtype: dtype, role: role, name: name}
	g.tensors = append(g.tensors, t)
	return t
}

func (g *Graph) value(shape ...int) *Tensor { return g.newTensor(Value, Float32, "", shape) }

func (g *Graph) add(op Op) {
	op.Describe().verify(g, op)
	g.ops = append(g.ops, op)
}

// Ints adds an int32 input that the caller writes before each run.
func (g *Graph) Ints(name string, shape ...int) *Tensor {
	return g.newTensor(Input, Int32, name, shape)
}

// Floats adds a float32 input that the caller writes before each run.
func (g *Graph) Floats(name string, shape ...int) *Tensor {
	return g.newTensor(Input, Float32, name, shape)
}

// Random adds a float32 tensor that the engine draws afresh at each run. Its name selects the stream of random
// numbers and must be unique in the graph.
func (g *Graph) Random(name string, d Dist, shape ...int) *Tensor {
	for _, t := range g.tensors {
		check(t.role != RandomVar || random.ID(t.name) != random.ID(name), "random", "the name %q is taken", name)
	}
	t := g.newTensor(RandomVar, Float32, name, shape)
	t.dist = d
	return t
}

// State adds a float32 tensor whose memory the caller binds to the compiled program and keeps, such as a key-value cache.
// Only operations whose definition says so write it.
func (g *Graph) State(name string, shape ...int) *Tensor {
	return g.newTensor(State, Float32, name, shape)
}

// Param returns the tensor that reads p; asking twice gives the same tensor.
func (g *Graph) Param(p *Param) *Tensor {
	if t := g.params[p]; t != nil {
		return t
	}
	t := g.newTensor(Parameter, Float32, p.Name, p.Shape)
	t.param = p
	g.params[p] = t
	return t
}

// Reshape returns a view of x with another shape of the same size. Nothing is copied.
func (g *Graph) Reshape(x *Tensor, shape ...int) *Tensor {
	check(size(shape) == x.Size(), "reshape", "%v to %v", x, shape)
	t := g.newTensor(Value, x.dtype, "", shape)
	t.base = x
	return t
}

// Loss adds weight times the scalar t to the training loss, and marks t as output. t is the output that an operation
// describes as its loss: Description.Loss.
func (g *Graph) Loss(t *Tensor, weight float32) {
	isLoss := slices.ContainsFunc(g.ops, func(op Op) bool { return op.Describe().Loss == t })
	check(isLoss, "loss", "%v is not the loss of an operation", t)
	g.terms = append(g.terms, Term{t, weight})
	g.Output(t)
}

// Output marks tensors whose values the caller reads after a run. The memory of others may be reused during the run.
func (g *Graph) Output(ts ...*Tensor) { g.outputs = append(g.outputs, ts...) }

// Ops returns the operations in running order.
func (g *Graph) Ops() []Op { return g.ops }

// Tensors returns all tensors, the one with ID i at index i.
func (g *Graph) Tensors() []*Tensor { return g.tensors }

// Terms returns the summands of the training loss.
func (g *Graph) Terms() []Term { return g.terms }

// Outputs returns the tensors marked with Output.
func (g *Graph) Outputs() []*Tensor { return g.outputs }

// LossWeight returns the sum of the weights that Loss gave the scalar t, 0 for none.
func (g *Graph) LossWeight(t *Tensor) float32 {
	var w float32
	for _, term := range g.terms {
		if term.Loss == t {
			w += term.Weight
		}
	}
	return w
}

// NeedsGrad reports, for every tensor by ID, whether the training loss is differentiated with respect to it: it is a
// trainable parameter or computed from one, and the loss is computed from it. A view needs what its root needs.
func (g *Graph) NeedsGrad() []bool {
	need, used := make([]bool, len(g.tensors)), make([]bool, len(g.tensors))
	for _, t := range g.tensors {
		need[t.id] = t.role == Parameter && t.param.Trainable()
	}
	for _, op := range g.ops {
		if in, out := op.Describe().gradients(); anyOf(in, need) {
			mark(out, need)
		}
	}
	for _, term := range g.terms {
		used[term.Loss.id] = used[term.Loss.id] || g.LossWeight(term.Loss) != 0
	}
	for _, op := range slices.Backward(g.ops) {
		if in, out := op.Describe().gradients(); anyOf(out, used) {
			mark(in, used)
		}
	}
	for _, t := range g.tensors {
		root := t.Root().id
		need[t.id] = need[root] && used[root]
	}
	return need
}

func anyOf(ts []*Tensor, flags []bool) bool {
	return slices.ContainsFunc(ts, func(t *Tensor) bool { return flags[t.Root().id] })
}

func mark(ts []*Tensor, flags []bool) {
	for _, t := range ts {
		if t.dtype == Float32 {
			flags[t.Root().id] = true
		}
	}
}
