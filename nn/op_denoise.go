package nn

// NoisyTarget draws targets from posteriors and mixes noise into them, the input of diffusion and flow heads in
// training (SPEC sections 3.2, 3.3). Nothing gets a gradient.
//
//	Target[n, p] = Mean[p] + exp(LogStd[p]) * Eps[n, p]
//	Y[n, p] = a Target[n, p] + s Noise[n, p]
//	a, s = Signal[t], Sigma[t] with t = T[n, p], a whole number, or t, 1-t without tables
//	Mean, LogStd [P, Z]; Eps, Noise, Target, Y [N, P, Z]; T [N, P]
type NoisyTarget struct {
	Mean, LogStd, Eps, Noise, T *Tensor
	Target, Y                   *Tensor
	Signal, Sigma               []float32 // nil for the straight path
}

// NoisyTarget adds a NoisyTarget operation; the tables are both nil or of one length. A time outside them is an error
// of the run.
func (g *Graph) NoisyTarget(mean, logStd, eps, noise, t *Tensor, signal, sigma []float32) *NoisyTarget {
	check(logStd.is(mean.shape...) && len(eps.shape) == 3 && repeats(eps, mean) && noise.is(eps.shape...) && t.Size() == eps.Rows() &&
		len(signal) == len(sigma), "noisy target", "mean %v, log_std %v, eps %v, noise %v, t %v, tables of %d and %d",
		mean, logStd, eps, noise, t, len(signal), len(sigma))
	o := &NoisyTarget{Mean: mean, LogStd: logStd, Eps: eps, Noise: noise, T: t, Signal: signal, Sigma: sigma,
		Target: g.value(eps.shape...), Y: g.value(eps.shape...)}
	g.add(o)
	return o
}

// In implements [Op].
func (o *NoisyTarget) In() []*Tensor { return []*Tensor{o.Mean, o.LogStd, o.Eps, o.Noise, o.T} }

// Out implements [Op].
func (o *NoisyTarget) Out() []*Tensor { return []*Tensor{o.Target, o.Y} }

// Flops implements [Op].
func (o *NoisyTarget) Flops() float64 { return 0 }

// FlowLoss is the loss of the flow head (SPEC section 3.3): how far a velocity is from the straight way.
//
//	Terms[n, p] = mean over Z of (V[n, p] - (Target[n, p] - Noise[n, p]))^2
//	Loss = sum_{n,p} Weight[p] Terms[n, p] / (N sum_p Weight[p])
//	V, Target, Noise [N, P, Z]; Weight [P] or nil for all ones; Terms [N, P]; Loss []
//
// Gradients flow to V only. With all weights 0 the loss is 0.
type FlowLoss struct {
	V, Target, Noise, Weight *Tensor
	Loss, Terms              *Tensor
}

// FlowLoss adds a FlowLoss operation; weight may be nil.
func (g *Graph) FlowLoss(v, target, noise, weight *Tensor) *FlowLoss {
	check(len(v.shape) == 3 && target.is(v.shape...) && noise.is(v.shape...), "flow loss", "v %v, target %v, noise %v", v, target, noise)
	check(weight == nil || weight.Size() == v.Dim(1), "flow loss", "v %v, weight %v", v, weight)
	o := &FlowLoss{V: v, Target: target, Noise: noise, Weight: weight, Loss: g.value(), Terms: g.value(v.Dim(0), v.Dim(1))}
	g.add(o)
	return o
}

// In implements [Op].
func (o *FlowLoss) In() []*Tensor { return present(o.V, o.Target, o.Noise, o.Weight) }

// Out implements [Op].
func (o *FlowLoss) Out() []*Tensor { return []*Tensor{o.Loss, o.Terms} }

// Flops implements [Op].
func (o *FlowLoss) Flops() float64 { return 0 }

// DiffusionLoss is the loss of the diffusion head (SPEC section 3.2): the squared error of the noise that it predicts,
// and the variational bound, in bits, of the variance that it predicts. With t = T[n, p], e, v the halves of
// Pred[n, p], d = e - Noise[n, p], logvar = f MaxLog[t] + (1-f) MinLog[t], f = (v+1)/2:
//
//	MSE[n, p] = mean over Z of d^2
//	Bound[n, p] = mean over Z of (logvar - MinLog[t] - 1 + exp(MinLog[t]-logvar) + (Coef[t] d)^2 exp(-logvar)) / (2 ln 2)
//	Bound[n, p] = mean over Z of -log2 q(Target[n, p]) at t = 0, q the Gaussian of mean Target - Coef[0] d and that
//	              variance, discretised to bins of 2/255, open beyond +-.999, at least 1e-12
//	Loss = sum_{n,p} Weight[p] (MSE[n, p] + Bound[n, p]) / (N sum_p Weight[p]); MeanMSE, MeanBound are its two parts
//	Pred [N, P, 2Z]; Target, Noise [N, P, Z]; T [N, P]; Weight [P] or nil for all ones; MSE, Bound [N, P]; the others []
//
// Coef[t] d is how far the mean of the step back is off, and for Bound a constant: its gradient flows to v only.
// Computed in float64, since the bins cancel in float32; their distribution function is the reference's,
// .5(1+tanh(sqrt(2/pi)(x+.044715x^3))). With all weights 0 the loss is 0. A time outside the tables is an error of the run.
type DiffusionLoss struct {
	Pred, Target, Noise, T, Weight *Tensor
	Loss, MeanMSE, MeanBound       *Tensor
	MSE, Bound                     *Tensor
	DiffusionTables
}

// DiffusionTables are what the steps back of a diffusion look like, by time.
type DiffusionTables struct {
	MinLog, MaxLog []float64 // logarithms of the least and the greatest variance
	Coef           []float64 // what an error of the noise does to the mean
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

// In implements [Op].
func (o *DiffusionLoss) In() []*Tensor {
	return present(o.Pred, o.Target, o.Noise, o.T, o.Weight)
}

// Out implements [Op].
func (o *DiffusionLoss) Out() []*Tensor {
	return []*Tensor{o.Loss, o.MeanMSE, o.MeanBound, o.MSE, o.Bound}
}

// Flops implements [Op].
func (o *DiffusionLoss) Flops() float64 { return 0 }
