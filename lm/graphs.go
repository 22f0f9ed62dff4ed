package lm

import (
	"fmt"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/nn"
)

// Training is the graph of a training step on B rows of T tokens: the head's loss at every position, and the auxiliary
// token loss if the configuration asks for it.
type Training struct {
	Batch
	Graph  *nn.Graph          // the graph; the fields below are tensors of it
	Head   *head.Loss         // its metrics and terms are outputs
	Tokens []*nn.CrossEntropy // of the auxiliary heads, one a token of the patch; losses and Brier scores are outputs
	Anchor *nn.Tensor         // output []: the mean squared error of the samples; nil without Config.MSEAnchor

	PatchVectors *nn.Tensor            // [B, L-1, D] the backbone's input, not marked as output
	Hidden       *nn.Tensor            // [B, L-1, D], not marked as output
	Target       autoencoder.Posterior // [P, Z] of the next patches, not marked as output

	caches []backbone.Cache
}

// Training describes a training step on that many rows of that many tokens, a multiple of K and at least 2K.
func (m *Model) Training(rows, tokens int) *Training {
	t := m.score(rows, tokens, m.Config.NumSamples)
	g := t.Graph
	g.Loss(t.Head.Loss, 1)
	t.outputMetrics()
	g.Output(t.Head.Terms...)
	if w := m.Config.MSEAnchor; w > 0 {
		t.Anchor = g.MeanSquaredError(t.Head.Samples, t.Target.Mean, t.Weight)
		g.Loss(t.Anchor, float32(w))
	}
	t.Tokens = m.scoreTokens(t)
	for _, ce := range t.Tokens {
		// Together a mean over tokens: masks cover whole patches, so every head counts the same positions.
		g.Loss(ce.Loss, float32(m.Config.TokenLossWeight)/float32(len(t.Tokens)))
	}
	return t
}

// scoreTokens adds the auxiliary heads, if there are any.
func (m *Model) scoreTokens(t *Training) []*nn.CrossEntropy {
	var list []*nn.CrossEntropy
	for i, w := range m.tokenHeads {
		ce := t.Graph.CrossEntropy(t.Hidden, t.Graph.Param(w), t.Labels[i])
		t.Graph.Output(ce.Loss, ce.Brier)
		list = append(list, ce)
	}
	return list
}

// score describes what training and evaluation share.
func (m *Model) score(rows, tokens, samples int) *Training {
	g := nn.NewGraph()
	t := &Training{Graph: g, Batch: m.batch(g, rows, tokens)}
	t.PatchVectors = m.Patches(g, t.Inputs)
	t.Hidden, t.caches = m.Backbone.ForwardCaches(g, t.PatchVectors)
	t.Target = m.Autoencoder.Encode(g, t.Targets)
	t.Head = m.Head.Loss(g, t.Hidden, t.Target.Mean, t.Target.LogStd, t.Weight, samples)
	if (t.Head.Samples != nil) != m.HeadKind.ScoresSamples {
		panic(fmt.Sprintf("lm: the loss of the %s head has samples: %t, its Kind says %t", m.HeadKind.Name, t.Head.Samples != nil, m.HeadKind.ScoresSamples))
	}
	return t
}

// outputMetrics marks the head's metrics as outputs.
func (t *Training) outputMetrics() {
	for _, f := range t.Head.Metrics {
		t.Graph.Output(f.Value)
	}
}

// Evaluation is the graph of a measurement on B rows of T tokens: the head's loss, and samples as tokens for BrierLM
// where the loss scores samples. Else samples are drawn from the hidden states, with a Sampler.
type Evaluation struct {
	Batch
	Graph  *nn.Graph        // the graph; the fields below are tensors of it
	Head   *head.Loss       // its metrics are outputs
	Hidden *nn.Tensor       // output [B, L-1, D]
	Tokens *nn.Tensor       // output [N, P, K] int32: the N samples of each position, decoded; nil where the loss has none
	Caches []backbone.Cache // by layer, keys and values of the B rows of L-1 positions; not marked as outputs

	// TokenHeads are the scores of the auxiliary heads, of a model that has them, one a token of the patch.
	TokenHeads []*nn.CrossEntropy
}

// Evaluation describes a measurement whose loss has that many samples or targets a position, at least the head's
// MinSamples. The expectation of the loss does not depend on their number.
func (m *Model) Evaluation(rows, tokens, samples int) *Evaluation {
	t := m.score(rows, tokens, samples)
	t.outputMetrics()
	e := &Evaluation{Batch: t.Batch, Graph: t.Graph, Head: t.Head, Hidden: t.Hidden, Caches: t.caches, TokenHeads: m.scoreTokens(t)}
	t.Graph.Output(t.Hidden)
	if t.Head.Samples != nil {
		ids := m.Autoencoder.Tokens(t.Graph, t.Head.Samples)
		e.Tokens = t.Graph.Reshape(ids, samples, t.Weight.Size(), m.Config.PatchSize)
		t.Graph.Output(e.Tokens)
	}
	return e
}
