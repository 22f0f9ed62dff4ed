package nn

// NoisyTarget draws targets from posteriors and mixes noise into them: the input of the diffusion and the flow head in
// training (docs/spec.md, sections 3.2 and 3.3). It has no gradient.
//
//	Target[n, p] = Mean[p] + exp(LogStd[p]) * Eps[n, p]
//	Y[n, p] = a Target[n, p] + s Noise[n, p]
//	a, s = Signal[t], Sigma[t] with t = T[n, p], an integer; or t, 1-t without tables
//
// A time that is no index of the tables is an error of the run.
type NoisyTarget struct {
	Mean, LogStd  *Tensor   // [P, Z]
	Eps, Noise    *Tensor   // [N, P, Z], standard normal
	T             *Tensor   // [N, P]
	Target, Y     *Tensor   // [N, P, Z]
	Signal, Sigma []float32 // by time; both nil for the straight path from noise (t = 0) to target (t = 1)
}

// NoisyTarget adds a NoisyTarget operation; the tables are both nil or of one length.
func (g *Graph) NoisyTarget(mean, logStd, eps, noise, t *Tensor, signal, sigma []float32) *NoisyTarget {
	check(logStd.is(mean.shape...) && len(eps.shape) == 3 && repeats(eps, mean) && noise.is(eps.shape...) && t.Size() == eps.Rows() &&
		len(signal) == len(sigma), "noisy target", "mean %v, log_std %v, eps %v, noise %v, t %v, tables of %d and %d",
		mean, logStd, eps, noise, t, len(signal), len(sigma))
	o := &NoisyTarget{Mean: mean, LogStd: logStd, Eps: eps, Noise: noise, T: t, Signal: signal, Sigma: sigma,
		Target: g.value(eps.shape...), Y: g.value(eps.shape...)}
	g.add(o)
	return o
}

// Describe implements [Op].
func (o *NoisyTarget) Describe() Description {
	return Description{
		In:    []*Tensor{o.Mean, o.LogStd, o.Eps, o.Noise, o.T},
		Out:   []*Tensor{o.Target, o.Y},
		Flops: NoProducts(),
	}
}
