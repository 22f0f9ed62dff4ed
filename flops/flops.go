// Package flops counts the arithmetic of a graph: the one place where calm's FLOPs come from. docs/flops.md has the
// formulas that the counts of calm's models come to.
//
// A multiplication and an addition are two operations. Counted are the products of matrices: linear maps, products with
// the vocabulary, attention. Elementwise work, norms, the heads' losses, looking up embeddings, the optimizer and what a
// backward run computes again are not.
package flops

import "github.com/calm-go/calm/nn"

// Count is a number of multiplications and additions. Those of attention stand apart, because they grow with the
// context and because others count the whole of its scores where calm counts the lower triangle, which is what it does.
type Count struct {
	Products  float64 // linear maps and products with the vocabulary
	Attention float64 // queries by keys, and weights by values
}

// Total returns all operations.
func (c Count) Total() float64 { return c.Products + c.Attention }

// Times returns n times the count.
func (c Count) Times(n float64) Count { return Count{c.Products * n, c.Attention * n} }

// Plus returns the sum of two counts.
func (c Count) Plus(d Count) Count { return Count{c.Products + d.Products, c.Attention + d.Attention} }

// Part is a piece of a larger computation: a graph and how often it runs forward. A head that needs several evaluations
// of its network for a sample is one evaluation's graph with their number.
type Part struct {
	Name  string
	Graph *nn.Graph
	Runs  float64
}

// Count returns what all runs of the part take.
func (p Part) Count() Count { return Forward(p.Graph).Times(p.Runs) }

// Weights returns what all runs of the part take for its parameters.
func (p Part) Weights() Weights {
	w := OfWeights(p.Graph)
	return Weights{w.Bytes * p.Runs, w.FLOPs * p.Runs}
}

// Op counts one operation in training, forward and backward; need is the graph's NeedsGrad. A product whose operands
// both need gradients takes three times its forward run, one of frozen parameters its forward run alone.
func Op(op nn.Op, need []bool) (forward, backward float64) {
	forward = op.Flops()
	needs := func(t *nn.Tensor) float64 {
		if need[t.Root().ID()] {
			return 1
		}
		return 0
	}
	switch op := op.(type) {
	case *nn.Linear:
		backward = forward * (needs(op.X) + needs(op.W))
	case *nn.CrossEntropy:
		backward = forward * (needs(op.H) + needs(op.W))
	case *nn.Attention:
		// Forward QKᵀ and PV; backward two products for each.
		backward = 2 * forward * max(needs(op.Q), needs(op.K), needs(op.V))
	}
	return forward, backward
}

// Forward counts a forward run of a graph. Attention to a cache counts the whole capacity.
func Forward(g *nn.Graph) (c Count) {
	for _, op := range g.Ops() {
		c.add(op, op.Flops())
	}
	return c
}

// Training counts a forward and a backward run of a graph.
func Training(g *nn.Graph) (c Count) {
	need := g.NeedsGrad()
	for _, op := range g.Ops() {
		forward, backward := Op(op, need)
		c.add(op, forward+backward)
	}
	return c
}

func (c *Count) add(op nn.Op, n float64) {
	switch op.(type) {
	case *nn.Attention, *nn.CachedAttention:
		c.Attention += n
	default:
		c.Products += n
	}
}

// Unshared is Training for a program that repeats a product for each of the N samples of a position which calm makes
// once for all of them, as the PyTorch reference does: the operations of the model as written, with which programs that
// share and programs that do not can be compared.
func Unshared(g *nn.Graph) (c Count) {
	need, times := g.NeedsGrad(), repeats(g)
	for _, op := range g.Ops() {
		forward, backward := Op(op, need)
		c.add(op, (forward+backward)*times[op.Out()[0]])
	}
	return c
}

// repeats says for the output of every operation how many rows of a later product share one of its own.
func repeats(g *nn.Graph) map[*nn.Tensor]float64 {
	times := map[*nn.Tensor]float64{}
	for _, op := range g.Ops() {
		times[op.Out()[0]] = 1
	}
	for _, op := range g.Ops() {
		if l, ok := op.(*nn.Linear); ok && l.Add != nil {
			times[l.Add.Root()] = float64(l.X.Rows() / l.Add.Rows())
		}
	}
	return times
}

// Weights is what a forward run of a graph takes for its parameters.
type Weights struct {
	Bytes float64 // of parameters read; of a table that is looked up only the rows found
	FLOPs float64 // of products with them
}

// OfWeights counts what a forward run of a graph takes for its parameters.
func OfWeights(g *nn.Graph) (w Weights) {
	for _, op := range g.Ops() {
		switch op := op.(type) {
		case *nn.Embedding:
			w.Bytes += bytesEach(op.Table) * float64(op.Y.Size())
		case *nn.Linear: // its window of the matrix
			w.FLOPs += op.Flops()
			w.Bytes += bytesEach(op.W) * float64(op.X.Cols()*op.Y.Cols())
			if op.B != nil {
				w.Bytes += 4 * float64(op.Y.Cols())
			}
		default:
			for _, t := range op.In() {
				if t.Role() == nn.Parameter {
					w.FLOPs += op.Flops()
					w.Bytes += bytesEach(t) * float64(t.Size())
				}
			}
		}
	}
	return w
}

// bytesEach is the size of one number of a parameter.
func bytesEach(t *nn.Tensor) float64 {
	if p := t.Param(); p != nil && p.BF16 != nil {
		return 2
	}
	return 4
}
