package nn

// MeanSquaredError is the weighted mean of the squared differences of rows from their targets.
//
//	Loss = sum_r w[r] mean_z (Pred[r,z] - Target[r,z])^2 / sum_r w[r], w = Weight
//
// Target and Weight may have fewer rows than Pred, which then repeat: samples of one position, stored sample by sample,
// share a target. Gradients flow to Pred alone; a training program forms them in the forward run. With all weights 0 the
// loss is 0.
type MeanSquaredError struct {
	Pred   *Tensor // [.., Z]
	Target *Tensor // [.., Z]
	Weight *Tensor // [..], or nil for all 1
	Loss   *Tensor // [], a loss
}

// MeanSquaredError adds a MeanSquaredError operation and returns its loss; weight may be nil.
func (g *Graph) MeanSquaredError(pred, target, weight *Tensor) *Tensor {
	check(target.Cols() == pred.Cols() && pred.Rows()%target.Rows() == 0, "mean squared error", "predictions %v, target %v", pred, target)
	check(weight == nil || pred.Rows()%weight.Size() == 0, "mean squared error", "predictions %v, weight %v", pred, weight)
	loss := g.value()
	g.add(&MeanSquaredError{Pred: pred, Target: target, Weight: weight, Loss: loss})
	return loss
}

// Describe implements [Op].
func (o *MeanSquaredError) Describe() Description {
	return Description{
		In:    present(o.Pred, o.Target, o.Weight),
		Out:   []*Tensor{o.Loss},
		Grad:  []*Tensor{o.Pred},
		Loss:  o.Loss,
		Flops: NoProducts(),
	}
}
