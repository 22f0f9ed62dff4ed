package bench

import "github.com/calm-go/calm/nn"

// opFLOPs counts the multiplications and additions that training takes in the matrix products of one operation, forward
// and backward: a product whose operands both need gradients takes three times its forward run. Elementwise work,
// recomputation and the energy score are not counted.
func opFLOPs(op nn.Op, need []bool) (forward, backward float64) {
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

// modelFLOPs counts a training step of a graph as issue 3 does, as operations of the model and not of this program: a
// product that is made once for the N samples of a position counts N times. For language models that is a twelfth more
// than is done.
func modelFLOPs(g *nn.Graph) float64 {
	var sum float64
	need, times := g.NeedsGrad(), repeats(g)
	for _, op := range g.Ops() {
		forward, backward := opFLOPs(op, need)
		sum += (forward + backward) * times[op.Out()[0]]
	}
	return sum
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

// weightCost counts what a forward run of a graph takes for its weights: the bytes of parameters it reads and the
// operations of its products with them. Of a table that is looked up only the rows found count.
func weightCost(g *nn.Graph) (c cost) {
	for _, op := range g.Ops() {
		switch op := op.(type) {
		case *nn.Embedding:
			c.bytes += weightBytes(op.Table) * float64(op.Y.Size())
		case *nn.Linear: // its window of the matrix
			c.flops += op.Flops()
			c.bytes += weightBytes(op.W) * float64(op.X.Cols()*op.Y.Cols())
			if op.B != nil {
				c.bytes += 4 * float64(op.Y.Cols())
			}
		default:
			for _, t := range op.In() {
				if t.Role() == nn.Parameter {
					c.flops += op.Flops()
					c.bytes += weightBytes(t) * float64(t.Size())
				}
			}
		}
	}
	return c
}

// weightBytes is the size of one number of a parameter.
func weightBytes(t *nn.Tensor) float64 {
	if p := t.Param(); p != nil && p.BF16 != nil {
		return 2
	}
	return 4
}
