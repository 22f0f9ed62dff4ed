// Package metric names the numbers that training and evaluation report. The names are the keys of metrics.jsonl
// (docs/formats.md).
package metric

import (
	"fmt"
	"strings"
)

// Metric is one measured number.
type Metric struct {
	Name  string  // a constant below, a result of a function below, or the name of a head's loss
	Value float64 // unit and range are given with the name; NaN: not measurable, written as null in metrics.jsonl
}

// Names of metrics. The names of the heads' losses are in package head.
const (
	Accuracy     = "accuracy"         // part of the tokens that are right, in [0, 1]
	CrossEntropy = "cross_entropy"    // nats per token, 0 or more
	Perplexity   = "perplexity"       // exp(cross entropy), 1 or more
	KL           = "kl"               // nats per patch, summed over latent dimensions; clamped in training only
	Collapsed    = "collapsed"        // number of latent dimensions that carry no information
	BrierLM      = "brier_lm"         // percent, in [0, 100]; NaN where it is not measurable (docs/spec.md, section 4)
	Anchor       = "anchor_loss"      // mean squared distance of samples from the posterior's mean (docs/spec.md, section 7)
	TokenLoss    = "token_loss"       // cross entropy of the auxiliary token heads, nats per token (docs/spec.md, section 7)
	Diverged     = "sampler_diverged" // part of a head's draws that diverged, in [0, 1]
)

// AccuracyNoise is the name of the accuracy under latent noise of standard deviation sigma: accuracy_noise03 for .3.
func AccuracyNoise(sigma float64) string {
	return "accuracy_noise" + strings.ReplaceAll(fmt.Sprint(sigma), ".", "")
}

// TokenBrier is the name of the Brier score, in percent, of the auxiliary token head for token i of a patch, from 0.
func TokenBrier(i int) string { return fmt.Sprintf("token_brier_%d", i+1) }

// Brier is the name of the score Brier-n, in percent, n from 1.
func Brier(n int) string { return fmt.Sprintf("brier_%d", n) }

// Find returns the value of the metric with that name, or 0 where the list lacks it.
func Find(list []Metric, name string) float64 {
	for _, m := range list {
		if m.Name == name {
			return m.Value
		}
	}
	return 0
}
