package nn

import (
	"slices"

	"github.com/calm-go/calm/nn/random"
)

// Graph is a list of operations in the order they run, with the tensors between them. The zero value is not usable;
// see NewGraph. A Graph is not changed by compiling it.
type Graph struct {
	tensors []*Tensor
	ops     []Op
	params  map[*Param]*Tensor
	terms   []Term
	outputs []*Tensor
}

// Term is one summand of a training loss: Weight times the scalar Loss.
type Term struct {
	Loss   *Tensor // shape []
	Weight float32
}

// Dist is the distribution a random tensor is drawn from. Engines draw from counter-based streams: the values follow
// from the run's seed and step, the tensor's name and the element's index, never from the number of threads.
type Dist struct {
	Kind   DistKind
	Lo, Hi float32 // Uniform: the interval [Lo, Hi)
	P      float32 // Bernoulli: the probability of Hi; else 0
	N      int     // Integers: how many
}

// DistKind names a family of distributions.
type DistKind uint8

const (
	NormalDist DistKind = iota
	UniformDist
	BernoulliDist
	IntegersDist
)

// Normal is the standard normal distribution.
func Normal() Dist { return Dist{Kind: NormalDist} }

// Uniform is the uniform distribution on [lo, hi).
func Uniform(lo, hi float32) Dist { return Dist{Kind: UniformDist, Lo: lo, Hi: hi} }

// Bernoulli is value with probability p, else 0. Inverted dropout with rate r is Bernoulli(1-r, 1/(1-r)).
func Bernoulli(p, value float32) Dist { return Dist{Kind: BernoulliDist, P: p, Hi: value} }

// Integers is the uniform distribution on the whole numbers from 0 to n-1, at most 2^24, as float32.
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
	for _, t := range op.In() {
		check(t.graph == g, "graph", "%v belongs to another graph", t)
	}
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

// State adds a float32 tensor whose memory the caller binds to the compiled program and keeps, such as a cache of
// keys. Only operations that say so write it.
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

// Reshape returns a view of x with another shape of the same size. It costs nothing.
func (g *Graph) Reshape(x *Tensor, shape ...int) *Tensor {
	check(size(shape) == x.Size(), "reshape", "%v to %v", x, shape)
	t := g.newTensor(Value, x.dtype, "", shape)
	t.base = x
	return t
}

// Loss adds weight times the scalar t to what a training program differentiates. Only the result of a ClampedKL, a
// WeightedSum or a MeanSquaredError and the Loss of a CrossEntropy, an EnergyScore, a FlowLoss or a DiffusionLoss can be
// differentiated.
func (g *Graph) Loss(t *Tensor, weight float32) {
	check(g.isLoss(t), "loss", "%v is not the loss of an operation", t)
	g.terms = append(g.terms, Term{t, weight})
	g.Output(t)
}

// Output marks tensors whose values the caller reads after a run; others may share memory.
func (g *Graph) Output(ts ...*Tensor) { g.outputs = append(g.outputs, ts...) }

// Ops returns the operations in running order.
func (g *Graph) Ops() []Op { return g.ops }

// Tensors returns all tensors, the one with ID i at index i.
func (g *Graph) Tensors() []*Tensor { return g.tensors }

// Terms returns the summands of the training loss.
func (g *Graph) Terms() []Term { return g.terms }

// Outputs returns the tensors marked with Output.
func (g *Graph) Outputs() []*Tensor { return g.outputs }

// LossWeight returns the weight of the scalar t in the training loss, 0 if it is no part of it.
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
		if in, out := differentiated(op); anyOf(in, need) {
			mark(out, need)
		}
	}
	for _, term := range g.terms {
		used[term.Loss.id] = used[term.Loss.id] || g.LossWeight(term.Loss) != 0
	}
	for _, op := range slices.Backward(g.ops) {
		if in, out := differentiated(op); anyOf(out, used) {
			mark(in, used)
		}
	}
	for _, t := range g.tensors {
		root := t.Root().id
		need[t.id] = need[root] && used[root]
	}
	return need
}

// differentiated returns the inputs of op that gradients flow to, and the outputs they come from.
func differentiated(op Op) (in, out []*Tensor) {
	switch op := op.(type) {
	case *MaskIDs, *ArgMax, *CachedAttention, *PrefixAttention, *Categorical, *Sinusoid, *NoisyTarget:
		return nil, nil
	case *Mul:
		return []*Tensor{op.X}, op.Out()
	case *Reparameterize:
		return []*Tensor{op.Mean, op.LogStd}, op.Out()
	case *WeightedSum:
		return []*Tensor{op.X}, op.Out()
	case *CrossEntropy:
		return []*Tensor{op.H, op.W}, []*Tensor{op.Loss}
	case *EnergyScore:
		return []*Tensor{op.Pred}, []*Tensor{op.Loss}
	case *MeanSquaredError:
		return []*Tensor{op.Pred}, []*Tensor{op.Loss}
	case *FlowLoss:
		return []*Tensor{op.V}, []*Tensor{op.Loss}
	case *DiffusionLoss:
		return []*Tensor{op.Pred}, []*Tensor{op.Loss}
	}
	return op.In(), op.Out()
}

// isLoss reports whether t is a scalar whose gradient engines know how to start from.
func (g *Graph) isLoss(t *Tensor) bool {
	for _, op := range g.ops {
		switch op := op.(type) {
		case *ClampedKL, *WeightedSum, *CrossEntropy, *EnergyScore, *MeanSquaredError, *FlowLoss, *DiffusionLoss:
			if _, out := differentiated(op); out[0] == t {
				return true
			}
		}
	}
	return false
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
