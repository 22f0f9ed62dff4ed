// Package metric names the numbers that training and measuring report. The names are the keys of metrics.jsonl
// (docs/formats.md).
package metric

import (
	"fmt"
	"strings"
)

// Metric is one measured number.
type Metric struct {
	Name  string
	Value float64
}

// Names of metrics. A head's losses have names of their own, see package head.
const (
	Accuracy     = "accuracy"      // share of tokens, in [0, 1]
	CrossEntropy = "cross_entropy" // nats a token
	Perplexity   = "perplexity"    // exp(cross entropy)
	KL           = "kl"            // nats a patch, summed over latent dimensions: clamped in training, unclamped when measured
	Collapsed    = "collapsed"     // number of latent dimensions that say nothing
	BrierLM      = "brier_lm"      // percent; 0 where it cannot be measured
	Anchor       = "anchor_loss"   // mean squared error of samples to the posterior's mean
	TokenLoss    = "token_loss"    // mean cross entropy of the auxiliary heads, nats a token
	Diverged     = "sampler_diverged"
)

// AccuracyNoise is the name of the accuracy under noise of that standard deviation: accuracy_noise03 for .3.
func AccuracyNoise(sigma float64) string {
	return "accuracy_noise" + strings.ReplaceAll(fmt.Sprint(sigma), ".", "")
}

// TokenBrier is the name of an auxiliary head's Brier score, in percent, of token i of a patch, from 0.
func TokenBrier(i int) string { return fmt.Sprintf("token_brier_%d", i+1) }

// Brier is the name of the score Brier-n, in percent, n from 1.
func Brier(n int) string { return fmt.Sprintf("brier_%d", n) }

// Find returns the value of a metric; 0 where the list does not have it.
func Find(list []Metric, name string) float64 {
	for _, m := range list {
		if m.Name == name {
			return m.Value
		}
	}
	return 0
}
