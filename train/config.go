// Package train runs training: the schedule of the learning rate, the optimizer's step, checkpoints, and resuming so
// that a run that was stopped equals one that was not, bit for bit.
package train

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/config"
)

// Config holds the training keys, under the names of Hugging Face's trainer, which the reference uses.
type Config struct {
	LearningRate    float64 `json:"learning_rate"`
	AdamBeta1       float64 `json:"adam_beta1"`
	AdamBeta2       float64 `json:"adam_beta2"`
	AdamEpsilon     float64 `json:"adam_epsilon"`
	WeightDecay     float64 `json:"weight_decay"`  // on matrices and embeddings only
	MaxGradNorm     float64 `json:"max_grad_norm"` // 0: no clipping
	LRSchedulerType string  `json:"lr_scheduler_type"`
	WarmupSteps     int     `json:"warmup_steps"`
	DecayFraction   float64 `json:"decay_fraction"` // of warmup_stable_decay: the last part of the steps, down to 0
	MaxSteps        int     `json:"max_steps"`      // in all; 0 where minutes decide
	MaxMinutes      float64 `json:"max_minutes"`    // of training time; 0: no limit

	BatchSize                 int `json:"batch_size"` // rows, B
	BlockSize                 int `json:"block_size"` // tokens a row, T
	GradientAccumulationSteps int `json:"gradient_accumulation_steps"`

	Seed         uint64 `json:"seed"`
	LoggingSteps int    `json:"logging_steps"` // a line of metrics every so many steps
	EvalSteps    int    `json:"eval_steps"`    // a measurement on held-out text every so many steps; 0: at the end only
	EvalBlocks   int    `json:"eval_blocks"`   // held-out blocks of such a measurement; 0: all
	SaveSteps    int    `json:"save_steps"`    // a checkpoint every so many steps; 0: at the end only
}

// Names of LRSchedulerType.
const (
	Constant           = "constant" // with warm-up if warmup_steps says so, as the paper describes
	ConstantWithWarmup = "constant_with_warmup"
	Cosine             = "cosine"
	WarmupStableDecay  = "warmup_stable_decay"
)

// Default is the reference's recipe (SPEC section 2) with a batch for one machine.
func Default() Config {
	return Config{
		LearningRate: 3e-4, AdamBeta1: .9, AdamBeta2: .95, AdamEpsilon: 1e-8, WeightDecay: .1, MaxGradNorm: 1,
		LRSchedulerType: ConstantWithWarmup, WarmupSteps: 1000, DecayFraction: .4, MaxSteps: 30000,
		BatchSize: 8, BlockSize: 2048, GradientAccumulationSteps: 1,
		Seed: 1, LoggingSteps: 10, EvalSteps: 500, EvalBlocks: 32, SaveSteps: 500,
	}
}

// What bounds numbers that are multiplied with others: a step's draws are numbered, minutes become nanoseconds.
const (
	mostSteps   = 1_000_000_000_000
	mostMinutes = 100_000_000
)

// Validate reports everything that is wrong, as a *config.Error.
func (c Config) Validate() error {
	var p config.Problems
	config.Positive(&p, "learning_rate", c.LearningRate, config.MostWeight)
	p.Check(c.AdamBeta1 >= 0 && c.AdamBeta1 < 1, "adam_beta1", c.AdamBeta1, "want 0 or more and less than 1")
	p.Check(c.AdamBeta2 >= 0 && c.AdamBeta2 < 1, "adam_beta2", c.AdamBeta2, "want 0 or more and less than 1")
	config.Positive(&p, "adam_epsilon", c.AdamEpsilon, 1)
	config.Within(&p, "weight_decay", c.WeightDecay, 0, config.MostWeight)
	config.Within(&p, "max_grad_norm", c.MaxGradNorm, 0, 1e15)
	config.OneOf(&p, "lr_scheduler_type", c.LRSchedulerType, Constant, ConstantWithWarmup, Cosine, WarmupStableDecay)
	config.Within(&p, "warmup_steps", c.WarmupSteps, 0, mostSteps)
	config.Within(&p, "decay_fraction", c.DecayFraction, 0, 1)
	config.Within(&p, "max_steps", c.MaxSteps, 0, mostSteps)
	config.Within(&p, "max_minutes", c.MaxMinutes, 0, mostMinutes)
	p.Check(c.MaxSteps > 0 || c.MaxMinutes > 0, "max_steps", c.MaxSteps, "want 1 or more, or max_minutes above 0")
	config.Within(&p, "batch_size", c.BatchSize, 1, config.MostTokens)
	config.Within(&p, "block_size", c.BlockSize, 1, config.MostTokens)
	if b, t := c.BatchSize, c.BlockSize; b >= 1 && b <= config.MostTokens && t >= 1 && t <= config.MostTokens {
		p.Check(b*t <= config.MostTokens, "batch_size", b, fmt.Sprintf(
			"want at most %d tokens in a batch, with block_size = %d: larger ones are made of several (gradient_accumulation_steps)", config.MostTokens, t))
	}
	config.Within(&p, "gradient_accumulation_steps", c.GradientAccumulationSteps, 1, 1_000_000)
	config.Within(&p, "logging_steps", c.LoggingSteps, 1, mostSteps)
	config.Within(&p, "eval_steps", c.EvalSteps, 0, mostSteps)
	config.Within(&p, "eval_blocks", c.EvalBlocks, 0, mostSteps)
	config.Within(&p, "save_steps", c.SaveSteps, 0, mostSteps)
	return p.Err()
}

// WholePatches reports a block_size that is no whole patches of that many tokens, or fewer than least, as a *config.Error.
// It leaves a patch size that none can be for others to report.
func (c Config) WholePatches(patch, least int) error {
	var p config.Problems
	if patch >= 1 && patch <= config.MostPatch {
		p.Check(c.BlockSize%patch == 0 && c.BlockSize >= least*patch, "block_size", c.BlockSize,
			fmt.Sprintf("want a multiple of patch_size = %d, at least %d", patch, least*patch))
	}
	return p.Err()
}

// LearningRateAt returns the rate of step s, counted from 0, of a run of total steps; total 0 stands for a run whose end
// is not known yet, and none of its steps decays. Warm-up gives step s the rate lr*min(1, s/warmup): the first step
// changes no weight but fills the optimizer's moments, as in the reference.
func (c Config) LearningRateAt(s, total int) float64 {
	if s < c.WarmupSteps {
		return c.LearningRate * float64(s) / float64(c.WarmupSteps)
	}
	if total <= 0 {
		return c.LearningRate
	}
	switch c.LRSchedulerType {
	case Cosine:
		done := float64(s-c.WarmupSteps) / float64(max(1, total-c.WarmupSteps))
		return c.LearningRate * .5 * (1 + math.Cos(math.Pi*min(done, 1)))
	case WarmupStableDecay:
		length := c.DecayFraction * float64(total)
		return c.LearningRate * max(0, min(1, float64(total-s)/max(length, 1)))
	}
	return c.LearningRate
}

// decideAt is the part of a time budget after which the number of steps must be known: where the rate begins to depend
// on it, or shortly before the end where it never does.
func (c Config) decideAt() float64 {
	switch c.LRSchedulerType {
	case Cosine:
		return .1
	case WarmupStableDecay:
		return min(.95, 1-c.DecayFraction)
	}
	return .95
}
