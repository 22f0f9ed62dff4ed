package nn

// DiffusionLoss is the loss of the diffusion head (docs/spec.md, section 3.2): the squared error of the predicted noise
// plus the variational bound, in bits, of the predicted variance. With t = T[n, p], e and v the halves of Pred[n, p],
// d = e - Noise[n, p], f = (v+1)/2 and logvar = f MaxLog[t] + (1-f) MinLog[t]:
//
//	MSE[n, p] = mean over Z of d^2
//	Bound[n, p] = mean over Z of (logvar - MinLog[t] - 1 + exp(MinLog[t]-logvar) + (Coef[t] d)^2 exp(-logvar)) / (2 ln 2)
//	Bound[n, p] = mean over Z of -log2 q(Target[n, p]) at t = 0, q the Gaussian of mean Target - Coef[0] d and that
//	              variance, discretised to bins of 2/255, open beyond +-.999, at least 1e-12
//	Loss = sum_{n,p} Weight[p] (MSE[n, p] + Bound[n, p]) / (N sum_p Weight[p])
//
// MeanMSE and MeanBound are the two parts of Loss. Coef[t] d, the error of the denoising step's mean, is a constant for
// Bound, whose gradient flows to v alone. Gradients flow from Loss alone, and to Pred alone. The bins cancel in float32,
// so engines compute in float64; their distribution function is the reference's, .5(1+tanh(sqrt(2/pi)(x+.044715x^3))).
// With all weights 0 the loss is 0. A time that is no index of the tables is an error of the run.
type DiffusionLoss struct {
	Pred               *Tensor // [N, P, 2Z]: predicted noise, then the interpolation of the log variance
	Target, Noise      *Tensor // [N, P, Z]
	T                  *Tensor // [N, P]
	Weight             *Tensor // [P], or nil for all 1
	Loss               *Tensor // [], a loss
	MeanMSE, MeanBound *Tensor // []
	MSE, Bound         *Tensor // [N, P]
	DiffusionTables
}

// DiffusionTables describe the denoising steps of a diffusion, by time.
type DiffusionTables struct {
	MinLog, MaxLog []float64 // logarithms of the smallest and the largest variance
	Coef           []float64 // factor from an error of the noise to the error of the step's mean
}

// DiffusionLoss adds a DiffusionLoss operation; weight may be nil.
func (g *Graph) DiffusionLoss(pred, target, noise, t, weight *Tensor, tables DiffusionTables) *DiffusionLoss {
	n := len(tables.MinLog)
	check(len(target.shape) == 3 && pred.Size() == 2*target.Size() && pred.Rows() == target.Rows() && noise.is(target.shape...) &&
		t.Size() == target.Rows() && n > 0 && len(tables.MaxLog) == n && len(tables.Coef) == n,
		"diffusion loss", "predictions %v, target %v, noise %v, t %v, tables of %d", pred, target, noise, t, n)
	check(weight == nil || weight.Size() == target.Dim(1), "diffusion loss", "target %v, weight %v", target, weight)
	rows := target.shape[:2]
	o := &DiffusionLoss{Pred: pred, Target: target, Noise: noise, T: t, Weight: weight, DiffusionTables: tables,
		Loss: g.value(), MeanMSE: g.value(), MeanBound: g.value(), MSE: g.value(rows...), Bound: g.value(rows...)}
	g.add(o)
	return o
}

// Describe implements [Op].
func (o *DiffusionLoss) Describe() Description {
	return Description{
		In:    present(o.Pred, o.Target, o.Noise, o.T, o.Weight),
		Out:   []*Tensor{o.Loss, o.MeanMSE, o.MeanBound, o.MSE, o.Bound},
		Grad:  []*Tensor{o.Pred},
		Loss:  o.Loss,
		Flops: NoProducts(),
	}
}
