package cpu

import (
	"fmt"

	"github.com/calm-go/calm/nn"
)

// A product with few rows reads the weights in place and sums in another order than one that packs them (gemm_block.go).
// In a program that serves several texts together, the rows of a single text decide which it is. So each text gets bit
// for bit what it gets alone.

// ForStreams returns a view of the engine that compiles programs of n streams. A stream is a part of the rows of all
// tensors that is computed apart from the others, such as one of several texts. Each stream gets bit for bit what a program
// of that stream alone gives: the same graph, with 1/n of the rows, compiled by an engine of one stream. It does not matter
// which rows belong to which stream, as long as each has equally many rows of every product.
//
// Such programs are for inference. A graph panics when it is compiled if it has a product whose rows n does not divide,
// random tensors, a loss, or operations that measure many rows together (PrefixAttention and Categorical).
//
// The view shares the engine's threads, and the engine runs one program at a time, its views' included. Closing one closes
// all.
func (e *Engine) ForStreams(n int) *Engine {
	if n < 1 {
		panic(fmt.Sprintf("cpu: an engine for %d streams", n))
	}
	return &Engine{e.machine, n}
}

// Streams returns the number of streams of the programs that the engine compiles: 1 unless ForStreams made it.
func (e *Engine) Streams() int { return e.streams }

// checkStreams panics if the graph does not keep streams apart.
func (c *compiler) checkStreams() {
	refuse := func(what string) {
		panic(fmt.Sprintf("cpu: a program of %d streams with %s", c.eng.streams, what))
	}
	if c.training {
		refuse("gradients")
	}
	for _, t := range c.graph.Tensors() {
		if t.Role() == nn.RandomVar {
			refuse("random tensors, which are drawn for all streams together")
		}
	}
	for _, op := range c.graph.Ops() {
		switch op.(type) {
		case *nn.PrefixAttention, *nn.Categorical:
			refuse("nn." + nn.OpName(op) + ", which groups rows of all streams")
		}
		if op.Describe().Loss != nil {
			refuse("nn." + nn.OpName(op) + ", which sums over all streams")
		}
	}
}

// product returns a product whose M rows belong to the program's streams, equally many to each.
func (c *compiler) product(a gemmArgs) *gemm {
	a.Streams = c.eng.streams
	if a.M%a.Streams != 0 {
		panic(fmt.Sprintf("cpu: a product of %d rows in a program of %d streams", a.M, a.Streams))
	}
	return newGemm(c.eng.pool, c.eng.isa, a)
}
