// Package flops counts the arithmetic of a graph. It is the one place where calm's FLOPs come from: operations state
// their own (nn.Description), and this package adds them up. docs/flops.md has the formulas that the counts of calm's
// models come to.
//
// A multiplication and an addition are two operations. Counted are matrix products: linear maps, products with the
// vocabulary, attention. Not counted are elementwise work, norms, the losses of the heads, embedding lookups, the
// optimizer, and what a backward run computes again.
package flops

import (
	"slices"

	"github.com/calm-go/calm/nn"
)

// Count is a number of multiplications and additions. Those of attention are kept apart: they grow with the context, and
// others count all of the scores where calm counts the lower triangle, which is what it computes.
type Count struct {
	Products  float64 // FLOPs of linear maps and products with the vocabulary
	Attention float64 // FLOPs of queries by keys, and weights by values
}

// Total returns all operations.
func (c Count) Total() float64 { return c.Products + c.Attention }

// Times returns n times the count.
func (c Count) Times(n float64) Count { return Count{c.Products * n, c.Attention * n} }

// Plus returns the sum of two counts.
func (c Count) Plus(d Count) Count { return Count{c.Products + d.Products, c.Attention + d.Attention} }

// Part is a piece of a larger computation: a graph and how often it runs forward. A head that evaluates its network
// several times for a sample is one part: the graph of one evaluation and their number.
type Part struct {
	Name  string    // of the component, such as head
	Graph *nn.Graph // of one run
	Runs  float64   // how often the graph runs forward
}

// Count returns the operations of all runs of the part.
func (p Part) Count() Count { return Forward(p.Graph).Times(p.Runs) }

// Weights returns the parameters' bytes and FLOPs of all runs of the part.
func (p Part) Weights() Weights {
	w := OfWeights(p.Graph)
	return Weights{w.Bytes * p.Runs, w.FLOPs * p.Runs}
}

// Op counts one operation in training, forward and backward; need is the graph's NeedsGrad. A product takes twice its
// forward run backward where both operands need gradients, and nothing where neither does or where the loss does not
// depend on the operation.
func Op(op nn.Op, need []bool) (forward, backward float64) {
	d := op.Describe()
	needs := func(t *nn.Tensor) bool { return need[t.Root().ID()] }
	if d.Flops.Backward != nil && slices.ContainsFunc(d.Out, needs) {
		backward = d.Flops.Backward(needs)
	}
	return d.Flops.Forward, backward
}

// Forward counts a forward run of a graph. Attention to a cache or to shared prefixes counts their whole length.
func Forward(g *nn.Graph) (c Count) {
	for _, op := range g.Ops() {
		c.add(op, op.Describe().Flops.Forward)
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
	if op.Describe().Flops.Attention {
		c.Attention += n
	} else {
		c.Products += n
	}
}

// Weights counts what a forward run of a graph does with parameters.
type Weights struct {
	Bytes float64 // of parameters read; of a table that is looked up only the rows found
	FLOPs float64 // of products with them
}

// OfWeights counts the bytes of the parameters that a forward run of a graph reads, and the FLOPs of the products with
// them.
func OfWeights(g *nn.Graph) (w Weights) {
	for _, op := range g.Ops() {
		d, reads := op.Describe(), false
		for _, t := range d.In {
			if t.Role() != nn.Parameter {
				continue
			}
			n, part := d.Reads[t]
			if !part {
				n = t.Size()
			}
			w.Bytes += bytesEach(t) * float64(n)
			reads = true
		}
		if reads {
			w.FLOPs += d.Flops.Forward
		}
	}
	return w
}

// bytesEach is the size of one number of a parameter.
func bytesEach(t *nn.Tensor) float64 {
	switch p := t.Param(); {
	case p.BF16 != nil:
		return 2
	case p.Int8 != nil:
		return 1 + 4/float64(p.Shape[1]) // a row has a scale
	}
	return 4
}
