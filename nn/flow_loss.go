package nn

// FlowLoss is the loss of the flow head (docs/spec.md, section 3.3): the squared error of a predicted velocity, whose
// true value on the straight path from noise to target is their difference.
//
//	Terms[n, p] = mean over Z of (V[n, p] - (Target[n, p] - Noise[n, p]))^2
//	Loss = sum_{n,p} Weight[p] Terms[n, p] / (N sum_p Weight[p])
//
// Gradients flow from Loss alone, and to V alone. With all weights 0 the loss is 0.
type FlowLoss struct {
	V, Target, Noise *Tensor // [N, P, Z]
	Weight           *Tensor // [P], or nil for all 1
	Loss             *Tensor // [], a loss
	Terms            *Tensor // [N, P]
}

// FlowLoss adds a FlowLoss operation; weight may be nil.
func (g *Graph) FlowLoss(v, target, noise, weight *Tensor) *FlowLoss {
	check(len(v.shape) == 3 && target.is(v.shape...) && noise.is(v.shape...), "flow loss", "v %v, target %v, noise %v", v, target, noise)
	check(weight == nil || weight.Size() == v.Dim(1), "flow loss", "v %v, weight %v", v, weight)
	o := &FlowLoss{V: v, Target: target, Noise: noise, Weight: weight, Loss: g.value(), Terms: g.value(v.Dim(0), v.Dim(1))}
	g.add(o)
	return o
}

// Describe implements [Op].
func (o *FlowLoss) Describe() Description {
	return Description{
		In:    present(o.V, o.Target, o.Noise, o.Weight),
		Out:   []*Tensor{o.Loss, o.Terms},
		Grad:  []*Tensor{o.V},
		Loss:  o.Loss,
		Flops: NoProducts(),
	}
}
