package nn

// EnergyScore is the loss of the energy head (docs/spec.md, section 3.1): it compares N samples of the model with M
// samples of the target's posterior. A training program forms the gradient in the forward run; no [N, M, Z] tensor
// exists.
//
//	y_m = Mean + exp(LogStd) * Eps[m]
//	DistY[p] = 1/(NM) sum_{n,m} |Pred[n,p] - y_m[p]|^Beta
//	DistX[p] = 1/(N(N-1)) sum_{n!=k} |Pred[n,p] - Pred[k,p]|^Beta
//	Loss = sum_p Weight[p] (2 DistY[p] - DistX[p]) / sum_p Weight[p]
//
// Gradients flow from Loss alone, and to Pred alone. The gradient of a distance of 0 is 0; of any other distance it is
// finite. Engines may take a distance below 1.1e-19, whose square is no normal float32, for 0. With all weights 0 the
// loss is 0. Where Eps is a random tensor, engines need not keep it in memory.
type EnergyScore struct {
	Pred         *Tensor // [N, P, Z]
	Mean, LogStd *Tensor // [P, Z]
	Eps          *Tensor // [M, P, Z], standard normal
	Weight       *Tensor // [P], or nil for all 1
	Loss         *Tensor // [], a loss
	DistY, DistX *Tensor // [P]
	Beta         float32 // in (0, 2]
}

// EnergyScore adds an EnergyScore operation; weight may be nil.
func (g *Graph) EnergyScore(pred, mean, logStd, eps, weight *Tensor, beta float32) *EnergyScore {
	check(len(pred.shape) == 3 && pred.Dim(0) >= 2 && len(eps.shape) == 3, "energy score", "predictions %v, eps %v", pred, eps)
	p, z := pred.Dim(1), pred.Dim(2)
	check(mean.Rows() == p && mean.Cols() == z && logStd.is(mean.shape...) && eps.Dim(1) == p && eps.Dim(2) == z, "energy score",
		"predictions %v, mean %v, log_std %v, eps %v", pred, mean, logStd, eps)
	check(weight == nil || weight.Size() == p, "energy score", "predictions %v, weight %v", pred, weight)
	o := &EnergyScore{Pred: pred, Mean: mean, LogStd: logStd, Eps: eps, Weight: weight, Beta: beta,
		Loss: g.value(), DistY: g.value(p), DistX: g.value(p)}
	g.add(o)
	return o
}

// Describe implements [Op].
func (o *EnergyScore) Describe() Description {
	return Description{
		In:    present(o.Pred, o.Mean, o.LogStd, o.Eps, o.Weight),
		Out:   []*Tensor{o.Loss, o.DistY, o.DistX},
		Grad:  []*Tensor{o.Pred},
		Loss:  o.Loss,
		Flops: NoProducts(),
		Sizes: []int{o.Pred.Dim(0), o.Eps.Dim(0), o.Pred.Dim(1), o.Pred.Dim(2)},
	}
}
