package nn

// Reparameterize draws from a posterior.
//
//	Y = Mean + exp(LogStd) * Eps      all [.., Z]
type Reparameterize struct{ Mean, LogStd, Eps, Y *Tensor }

// Reparameterize adds a Reparameterize operation. eps gets no gradient.
func (g *Graph) Reparameterize(mean, logStd, eps *Tensor) *Tensor {
	check(logStd.is(mean.shape...) && eps.Size() == mean.Size(), "reparameterize", "mean %v, log_std %v, eps %v", mean, logStd, eps)
	y := g.value(mean.shape...)
	g.add(&Reparameterize{mean, logStd, eps, y})
	return y
}

// In implements [Op].
func (o *Reparameterize) In() []*Tensor { return []*Tensor{o.Mean, o.LogStd, o.Eps} }

// Out implements [Op].
func (o *Reparameterize) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *Reparameterize) Flops() float64 { return 0 }

// ClampedKL is the autoencoder's KL term, clamped in each dimension so that none collapses (paper section 3.2).
//
//	Y = mean over rows of sum_z max(.5 (mean^2 + std^2 - 1 - 2 log std), Clamp)      Mean, LogStd [.., Z], Y []
//
// A clamped dimension has no gradient.
type ClampedKL struct {
	Mean, LogStd, Y *Tensor
	Clamp           float32
}

// ClampedKL adds a ClampedKL operation.
func (g *Graph) ClampedKL(mean, logStd *Tensor, clamp float32) *Tensor {
	check(logStd.is(mean.shape...), "clamped kl", "mean %v, log_std %v", mean, logStd)
	y := g.value()
	g.add(&ClampedKL{mean, logStd, y, clamp})
	return y
}

// In implements [Op].
func (o *ClampedKL) In() []*Tensor { return []*Tensor{o.Mean, o.LogStd} }

// Out implements [Op].
func (o *ClampedKL) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *ClampedKL) Flops() float64 { return 0 }

// WeightedSum makes a scalar of a tensor. With random weights it stands for whatever could follow an operation, which
// is how engines are tested: the gradient of a plain sum misses much.
//
//	Y = sum_i X[i] * Weights[i]      both of one size, Y []
type WeightedSum struct{ X, Weights, Y *Tensor }

// WeightedSum adds a WeightedSum operation. weights gets no gradient.
func (g *Graph) WeightedSum(x, weights *Tensor) *Tensor {
	check(x.dtype == Float32 && weights.Size() == x.Size(), "weighted sum", "%v by %v", x, weights)
	y := g.value()
	g.add(&WeightedSum{x, weights, y})
	return y
}

// In implements [Op].
func (o *WeightedSum) In() []*Tensor { return []*Tensor{o.X, o.Weights} }

// Out implements [Op].
func (o *WeightedSum) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *WeightedSum) Flops() float64 { return 0 }

// CrossEntropy is the softmax cross entropy of a linear head. Logits exist for a chunk of rows at a time only, and a
// training program forms the gradients in the forward run, so that nothing is computed twice.
//
//	logits = H · W^T      H [.., D], W [V, D], Labels [..] int32; a label of -100 does not count
//	Loss = mean over counted rows of -log softmax(logits)[label]      []
//	Hits = number of counted rows whose first greatest logit is the label's      []
//	Brier = mean over counted rows of 2 p[label] - sum p^2, p = softmax(logits) (SPEC section 4); no gradient      []
//
// With no row counted all three are 0. Other labels outside [0, V) are an error of the run.
type CrossEntropy struct {
	H, W, Labels      *Tensor
	Loss, Hits, Brier *Tensor
}

// CrossEntropy adds a CrossEntropy operation.
func (g *Graph) CrossEntropy(h, w, labels *Tensor) *CrossEntropy {
	check(len(w.shape) == 2 && w.Cols() == h.Cols() && labels.dtype == Int32 && labels.Size() == h.Rows(),
		"cross entropy", "h %v, w %v, labels %v", h, w, labels)
	o := &CrossEntropy{H: h, W: w, Labels: labels, Loss: g.value(), Hits: g.value(), Brier: g.value()}
	g.add(o)
	return o
}

// In implements [Op].
func (o *CrossEntropy) In() []*Tensor { return []*Tensor{o.H, o.W, o.Labels} }

// Out implements [Op].
func (o *CrossEntropy) Out() []*Tensor { return []*Tensor{o.Loss, o.Hits, o.Brier} }

// Flops implements [Op].
func (o *CrossEntropy) Flops() float64 { return 2 * float64(o.H.Size()) * float64(o.W.Dim(0)) }

// ArgMax gives the first greatest logit of a linear head. Logits exist for a chunk at a time only.
//
//	IDs[i] = argmax_v H[i]·W[v]      H [.., D], W [V, D], IDs [..] int32
type ArgMax struct{ H, W, IDs *Tensor }

// ArgMax adds an ArgMax operation.
func (g *Graph) ArgMax(h, w *Tensor) *Tensor {
	check(len(w.shape) == 2 && w.Cols() == h.Cols(), "argmax", "h %v, w %v", h, w)
	ids := g.newTensor(Value, Int32, "", h.shape[:len(h.shape)-1])
	g.add(&ArgMax{h, w, ids})
	return ids
}

// In implements [Op].
func (o *ArgMax) In() []*Tensor { return []*Tensor{o.H, o.W} }

// Out implements [Op].
func (o *ArgMax) Out() []*Tensor { return []*Tensor{o.IDs} }

// Flops implements [Op].
func (o *ArgMax) Flops() float64 { return 2 * float64(o.H.Size()) * float64(o.W.Dim(0)) }

// Categorical is what evaluations want to know of the distributions of a linear head, row by row, and draws from them.
// Logits exist for a chunk of rows at a time only. It has no gradient.
//
//	p[i] = softmax(H[i] · W^T)      H [.., D] of n rows, W [V, D]
//	LogP[i] = log p[i][Labels[i]], 0 where the label is -100      Labels [..] int32, LogP [n]
//	Collision[i] = sum_v p[i][v]^2, the probability that two draws are equal      [n]
//	Best[i] = argmax_v p[i][v], the first of them      [n] int32
//	Draws[s,i] = the first v at which p[i][0] + .. + p[i][v] exceeds U[s,i]      U [S, n] in [0, 1), Draws [S, n] int32
//
// Other labels outside [0, V) are an error of the run.
type Categorical struct {
	H, W, Labels, U              *Tensor
	LogP, Collision, Best, Draws *Tensor
}

// Categorical adds a Categorical operation.
func (g *Graph) Categorical(h, w, labels, u *Tensor) *Categorical {
	n := h.Rows()
	check(len(w.shape) == 2 && w.Cols() == h.Cols() && labels.dtype == Int32 && labels.Size() == n,
		"categorical", "h %v, w %v, labels %v", h, w, labels)
	check(len(u.shape) == 2 && u.Dim(1) == n, "categorical", "h %v, u %v", h, u)
	o := &Categorical{H: h, W: w, Labels: labels, U: u, LogP: g.value(n), Collision: g.value(n),
		Best: g.newTensor(Value, Int32, "", []int{n}), Draws: g.newTensor(Value, Int32, "", u.shape)}
	g.add(o)
	return o
}

// In implements [Op].
func (o *Categorical) In() []*Tensor { return []*Tensor{o.H, o.W, o.Labels, o.U} }

// Out implements [Op].
func (o *Categorical) Out() []*Tensor { return []*Tensor{o.LogP, o.Collision, o.Best, o.Draws} }

// Flops implements [Op].
func (o *Categorical) Flops() float64 { return 2 * float64(o.H.Size()) * float64(o.W.Dim(0)) }

// EnergyScore is the loss of the energy head (paper section 4.2, SPEC section 3.1): N samples of the model against M
// of the posterior. A training program forms the gradient in the forward run; no [N, M, Z] tensor exists.
//
//	y_m = Mean + exp(LogStd) * Eps[m]
//	DistY[p] = 1/(NM) sum_{n,m} |Pred[n,p] - y_m[p]|^Beta
//	DistX[p] = 1/(N(N-1)) sum_{n!=k} |Pred[n,p] - Pred[k,p]|^Beta
//	Loss = sum_p Weight[p] (2 DistY[p] - DistX[p]) / sum_p Weight[p]
//	Pred [N, P, Z], Mean, LogStd [P, Z], Eps [M, P, Z], Weight [P] or nil for all ones, Loss [], DistY, DistX [P]
//
// The gradient at distance 0 is 0, and finite at any other: engines may take distances below 1.1e-19, whose squares are
// no normal float32, for 0. Gradients flow to Pred only. Eps may be a random tensor; engines then need not keep
// it in memory. With all weights 0 the loss is 0.
type EnergyScore struct {
	Pred, Mean, LogStd, Eps, Weight *Tensor
	Loss, DistY, DistX              *Tensor
	Beta                            float32
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

// In implements [Op].
func (o *EnergyScore) In() []*Tensor {
	return present(o.Pred, o.Mean, o.LogStd, o.Eps, o.Weight)
}

// Out implements [Op].
func (o *EnergyScore) Out() []*Tensor { return []*Tensor{o.Loss, o.DistY, o.DistX} }

// Flops implements [Op].
func (o *EnergyScore) Flops() float64 { return 0 }

// MeanSquaredError is the distance of vectors to their targets.
//
//	Loss = sum_r w[r] mean_z (Pred[r,z] - Target[r,z])^2 / sum_r w[r]      Pred [.., Z], Target [.., Z], w = Weight [..], Loss []
//
// Target and Weight may have fewer rows than Pred, which then repeat: sample-major samples share one. Weight is nil for all
// ones. Gradients flow to Pred only; a training program forms them in the forward run. With all weights 0 the loss is 0.
type MeanSquaredError struct{ Pred, Target, Weight, Loss *Tensor }

// MeanSquaredError adds a MeanSquaredError operation and returns its loss; weight may be nil.
func (g *Graph) MeanSquaredError(pred, target, weight *Tensor) *Tensor {
	check(target.Cols() == pred.Cols() && pred.Rows()%target.Rows() == 0, "mean squared error", "predictions %v, target %v", pred, target)
	check(weight == nil || pred.Rows()%weight.Size() == 0, "mean squared error", "predictions %v, weight %v", pred, weight)
	loss := g.value()
	g.add(&MeanSquaredError{pred, target, weight, loss})
	return loss
}

// In implements [Op].
func (o *MeanSquaredError) In() []*Tensor { return present(o.Pred, o.Target, o.Weight) }

// Out implements [Op].
func (o *MeanSquaredError) Out() []*Tensor { return []*Tensor{o.Loss} }

// Flops implements [Op].
func (o *MeanSquaredError) Flops() float64 { return 0 }
