package flops_test

import (
	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/nn"
)

// unshared is flops.Training for a program that repeats a product for each of the N samples of a position, where calm
// computes it once for all of them. The PyTorch reference repeats it: it counts the model as written.
func unshared(g *nn.Graph) (total flops.Count) {
	need, times := g.NeedsGrad(), repeats(g)
	for _, op := range g.Ops() {
		d := op.Describe()
		forward, backward := flops.Op(op, need)
		n := flops.Count{Products: forward + backward}
		if d.Flops.Attention {
			n = flops.Count{Attention: forward + backward}
		}
		total = total.Plus(n.Times(times[d.Out[0]]))
	}
	return total
}

// repeats says for the first output of every operation how many rows of a later product share one of its rows.
func repeats(g *nn.Graph) map[*nn.Tensor]float64 {
	times := map[*nn.Tensor]float64{}
	for _, op := range g.Ops() {
		times[op.Describe().Out[0]] = 1
	}
	for _, op := range g.Ops() {
		if l, ok := op.(*nn.Linear); ok && l.Add != nil {
			times[l.Add.Root()] = float64(l.Y.Rows() / l.Add.Rows())
		}
	}
	return times
}
