package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// usual has the values of the quickstart's preset, which run.sh changes.
var usual = settings{NumMLPLayers: 1, HeadLearningRate: 1, NumSamples: 8, TargetSamples: 32, InitEmbeddings: "autoencoder"}

// others lists the settings that differ from the preset, except K, head and token loss.
func (s settings) others() string {
	var list []string
	add := func(key string, value, usual any) {
		if value != usual {
			list = append(list, fmt.Sprintf("%s %v", key, value))
		}
	}
	add("num_mlp_layers", s.NumMLPLayers, usual.NumMLPLayers)
	add("head_learning_rate", s.HeadLearningRate, usual.HeadLearningRate)
	add("num_samples", s.NumSamples, usual.NumSamples)
	add("target_samples", s.TargetSamples, usual.TargetSamples)
	add("mse_anchor", s.MSEAnchor, usual.MSEAnchor)
	add("init_embeddings", s.InitEmbeddings, usual.InitEmbeddings)
	return strings.Join(list, ", ")
}

// table returns a Markdown table with one row for each configuration: means over its seeds, with the interval of BrierLM.
func table(groups []group) string {
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.PatchSize, a.PatchSize), cmp.Compare(a.ModelType, b.ModelType), cmp.Compare(a.others(), b.others()),
			cmp.Compare(a.TokenLossWeight, b.TokenLossWeight), cmp.Compare(b.TokenLossUntil, a.TokenLossUntil))
	})
	var b strings.Builder
	b.WriteString("| K | head | token loss | until | else | steps | Brier-1 | BrierLM [95 %] | seeds | backbone's Brier-1 |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, g := range groups {
		brier1, lm := g.mean(func(r trained) float64 { return r.result.Brier[0] }), g.mean(func(r trained) float64 { return score(r.result.BrierLM) })
		lo, hi := g.interval(lm)
		fmt.Fprintf(&b, "| %d | %s | %g | %g | %s | %.0f | %.1f | %.2f [%.2f, %.2f] | %s | %s |\n", g.PatchSize, g.ModelType, g.TokenLossWeight,
			g.TokenLossUntil, g.others(), g.mean(func(r trained) float64 { return float64(r.MaxSteps) }), brier1, lm, lo, hi, g.seeds(), g.backbone())
	}
	return b.String()
}

func (g group) mean(of func(trained) float64) float64 {
	sum := 0.0
	for _, r := range g.runs {
		sum += of(r)
	}
	return sum / float64(len(g.runs))
}

// interval returns the 95 % interval of the mean BrierLM, from the bootstrap interval of each run. It covers the uncertainty from
// sampling and from the choice of the text, but not the differences between seeds.
func (g group) interval(mean float64) (lo, hi float64) {
	var below, above float64
	for _, r := range g.runs {
		i, lm := r.result.BrierLMInterval, score(r.result.BrierLM)
		below += (lm - i.Lo) * (lm - i.Lo)
		above += (i.Hi - lm) * (i.Hi - lm)
	}
	n := float64(len(g.runs))
	return mean - math.Sqrt(below)/n, mean + math.Sqrt(above)/n
}

// seeds lists the BrierLM of each run.
func (g group) seeds() string {
	var list []string
	for _, r := range g.runs {
		list = append(list, fmt.Sprintf("%.2f", score(r.result.BrierLM)))
	}
	return strings.Join(list, " ")
}

// backbone returns the mean of the last Brier-1 of the auxiliary token heads' distributions, or "" without such heads.
func (g group) backbone() string {
	sum := 0.0
	for _, r := range g.runs {
		if len(r.curve) == 0 || r.curve[len(r.curve)-1].TokenBrier1 == nil {
			return ""
		}
		sum += *r.curve[len(r.curve)-1].TokenBrier1
	}
	return fmt.Sprintf("%.1f", sum/float64(len(g.runs)))
}
