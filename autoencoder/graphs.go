package autoencoder

import (
	"math"

	"github.com/calm-go/calm/nn"
)

// Training is the graph of a training step on P patches:
//
//	z = Dropout * (mean + exp(log_std) * Eps), mean, log_std of the ids, with id 0 where Keep is 0
//	loss = K * cross entropy of the ids + kl_weight * clamped KL
type Training struct {
	Graph   *nn.Graph  // the graph; the fields below are tensors of it
	IDs     *nn.Tensor // input [P, K] int32; padding is a token like any other
	Keep    *nn.Tensor // random [P, K]: 0 where the encoder sees id 0; nil without token dropout
	Eps     *nn.Tensor // random [P, Z]
	Dropout *nn.Tensor // random [P, Z]: 0 or 1/(1-rate); nil without latent dropout

	Posterior Posterior        // not marked as output
	Latent    *nn.Tensor       // [P, Z] after dropout, not marked as output
	Hidden    *nn.Tensor       // [P*K, D] before the head, not marked as output
	Tokens    *nn.CrossEntropy // outputs: mean loss over the P*K tokens, and hits
	KL        *nn.Tensor       // output []: clamped, summed over Z, mean over patches
}

// Training describes a training step on that many patches.
func (m *Model) Training(patches int) *Training {
	c, g := m.Config, nn.NewGraph()
	t := &Training{Graph: g, IDs: g.Ints("ids", patches, c.PatchSize)}
	seen := t.IDs
	tokenRate, latentRate := c.dropout()
	if tokenRate > 0 {
		t.Keep = g.Random("autoencoder.token_keep", nn.Bernoulli(1-float32(tokenRate), 1), patches, c.PatchSize)
		seen = g.TokenMask(t.IDs, t.Keep)
	}
	t.Posterior = m.Encode(g, seen)
	t.Eps = g.Random("autoencoder.eps", nn.Normal(), patches, c.LatentSize)
	t.Latent = g.Reparameterize(t.Posterior.Mean, t.Posterior.LogStd, t.Eps)
	if latentRate > 0 {
		keep := 1 - float32(latentRate)
		t.Dropout = g.Random("autoencoder.dropout", nn.Bernoulli(keep, 1/keep), patches, c.LatentSize)
		t.Latent = g.Mul(t.Latent, t.Dropout)
	}
	t.KL = g.ClampedKL(t.Posterior.Mean, t.Posterior.LogStd, float32(c.KLClamp))
	t.Hidden = m.Decode(g, t.Latent)
	t.Tokens = g.CrossEntropy(t.Hidden, g.Param(m.table), t.IDs)
	g.Loss(t.Tokens.Loss, float32(c.PatchSize))
	g.Loss(t.KL, float32(c.KLWeight))
	g.Output(t.Tokens.Hits)
	return t
}

// Evaluation is the graph of a measurement on P patches, without dropout: how well the decoder recovers the tokens from
// a sample of the posterior, and from its mean plus noise.
type Evaluation struct {
	Graph     *nn.Graph        // the graph; the fields below are tensors of it
	IDs       *nn.Tensor       // input [P, K] int32
	Posterior Posterior        // outputs, for the KL of each dimension
	Eps       *nn.Tensor       // random [P, Z], of the sample
	Latent    *nn.Tensor       // [P, Z] the sample, not marked as output
	Hidden    *nn.Tensor       // [P*K, D] before the head, not marked as output
	Tokens    *nn.CrossEntropy // outputs: plain mean cross entropy (no factor K, no KL) and hits
	Noise     []Noise          // one for each sigma asked for
}

// Noise is the part of an evaluation that decodes mean + sigma * Eps.
type Noise struct {
	Sigma    float64          // standard deviation, 0 or more
	Eps      *nn.Tensor       // random [P, Z], the same draws for every sigma
	LogSigma *nn.Tensor       // input [P, Z], see Evaluation.Prepare
	Tokens   *nn.CrossEntropy // outputs
}

// Evaluation describes a measurement on that many patches, under noise of the given standard deviations (0 decodes
// the mean).
func (m *Model) Evaluation(patches int, sigmas ...float64) *Evaluation {
	z, g := m.Config.LatentSize, nn.NewGraph()
	e := &Evaluation{Graph: g, IDs: g.Ints("ids", patches, m.Config.PatchSize)}
	e.Posterior = m.Encode(g, e.IDs)
	e.Eps = g.Random("autoencoder.eps", nn.Normal(), patches, z)
	e.Latent = g.Reparameterize(e.Posterior.Mean, e.Posterior.LogStd, e.Eps)
	e.Hidden = m.Decode(g, e.Latent)
	e.Tokens = g.CrossEntropy(e.Hidden, g.Param(m.table), e.IDs)
	g.Output(e.Posterior.Mean, e.Posterior.LogStd, e.Tokens.Loss, e.Tokens.Hits)
	if len(sigmas) == 0 {
		return e
	}
	eps := g.Random("autoencoder.noise", nn.Normal(), patches, z)
	for _, sigma := range sigmas {
		n := Noise{Sigma: sigma, Eps: eps, LogSigma: g.Floats("log_sigma", patches, z)}
		hidden := m.Decode(g, g.Reparameterize(e.Posterior.Mean, n.LogSigma, eps))
		n.Tokens = g.CrossEntropy(hidden, g.Param(m.table), e.IDs)
		g.Output(n.Tokens.Loss, n.Tokens.Hits)
		e.Noise = append(e.Noise, n)
	}
	return e
}

// Prepare writes the sigmas into the graph's inputs. Once is enough: runs do not change inputs.
func (e *Evaluation) Prepare(v nn.Values) {
	// exp(-200) is 0 in float32, and unlike an infinity it cannot make a NaN.
	const zero = -200
	for _, n := range e.Noise {
		log := float32(zero)
		if n.Sigma > 0 {
			log = float32(math.Log(n.Sigma))
		}
		memory := v.Floats(n.LogSigma)
		for i := range memory {
			memory[i] = log
		}
	}
}
