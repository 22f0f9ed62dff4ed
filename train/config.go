// Package train trains a model: the configuration and its learning-rate schedule, the optimizer's step, the events of a training
// and the metrics that a run records. Package run trains whole runs, with measurements and checkpoints.
package train

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/config"
)

// Config holds the training keys. They have the names of Hugging Face's trainer, which the reference uses. Validate checks
// the range of each.
type Config struct {
	LearningRate    float64 `json:"learning_rate"`     // the schedule's maximum, above 0
	AdamBeta1       float64 `json:"adam_beta1"`        // decay of the first moment, in [0, 1)
	AdamBeta2       float64 `json:"adam_beta2"`        // decay of the second moment, in [0, 1)
	AdamEpsilon     float64 `json:"adam_epsilon"`      // added to the root of the second moment, in (0, 1]
	WeightDecay     float64 `json:"weight_decay"`      // decoupled, 0 or more; on matrices and embeddings only
	MaxGradNorm     float64 `json:"max_grad_norm"`     // L2 norm that gradients are clipped to; 0: no clipping
	LRSchedulerType string  `json:"lr_scheduler_type"` // Constant, ConstantWithWarmup, Cosine or WarmupStableDecay
	WarmupSteps     int     `json:"warmup_steps"`      // steps in which the rate rises from 0; 0: none
	DecayFraction   float64 `json:"decay_fraction"`    // for WarmupStableDecay: part of the steps, at the end, in which the rate falls to 0; in [0, 1]
	MaxSteps        int     `json:"max_steps"`         // steps of the whole run; 0: MaxMinutes decides
	MaxMinutes      float64 `json:"max_minutes"`       // minutes of training in all, without measurements; 0: no limit

	BatchSize                 int `json:"batch_size"`                  // rows of a batch, B
	BlockSize                 int `json:"block_size"`                  // tokens of a row, T; a multiple of the patch size
	GradientAccumulationSteps int `json:"gradient_accumulation_steps"` // batches of a step, 1 or more

	Seed         uint64 `json:"seed"`          // seed of the initial weights, the order of the text, and the noise
	LoggingSteps int    `json:"logging_steps"` // steps between two lines of metrics, 1 or more; the first step has one too
	EvalSteps    int    `json:"eval_steps"`    // steps between two measurements on held-out text; 0: at the end only
	EvalBlocks   int    `json:"eval_blocks"`   // held-out blocks of a measurement; 0: all
	SaveSteps    int    `json:"save_steps"`    // steps between two checkpoints; 0: at the end only
}

// Values of LRSchedulerType. Every schedule starts with the warm-up of WarmupSteps.
const (
	Constant           = "constant"             // the same as ConstantWithWarmup
	ConstantWithWarmup = "constant_with_warmup" // the maximum to the end
	Cosine             = "cosine"               // half a cosine from the maximum down to 0
	WarmupStableDecay  = "warmup_stable_decay"  // the maximum, then linearly down to 0
)

// Default returns the reference's recipe (docs/spec.md, section 2) with a batch for one machine.
func Default() Config {
	return Config{
		LearningRate: 3e-4, AdamBeta1: .9, AdamBeta2: .95, AdamEpsilon: 1e-8, WeightDecay: .1, MaxGradNorm: 1,
		LRSchedulerType: ConstantWithWarmup, WarmupSteps: 1000, DecayFraction: .4, MaxSteps: 30000,
		BatchSize: 8, BlockSize: 2048, GradientAccumulationSteps: 1,
		Seed: 1, LoggingSteps: 10, EvalSteps: 500, EvalBlocks: 32, SaveSteps: 500,
	}
}

// Bounds that keep products from overflowing: a step's draws are numbered, minutes become nanoseconds.
const (
	maxSteps   = 1_000_000_000_000
	maxMinutes = 100_000_000
)

// Validate checks every key. Its error is a *config.Error, which lists all that is wrong.
func (c Config) Validate() error {
	var p config.Problems
	config.Positive(&p, "learning_rate", c.LearningRate, config.MaxWeight)
	p.Check(c.AdamBeta1 >= 0 && c.AdamBeta1 < 1, "adam_beta1", c.AdamBeta1, "want 0 or more and less than 1")
	p.Check(c.AdamBeta2 >= 0 && c.AdamBeta2 < 1, "adam_beta2", c.AdamBeta2, "want 0 or more and less than 1")
	config.Positive(&p, "adam_epsilon", c.AdamEpsilon, 1)
	config.Within(&p, "weight_decay", c.WeightDecay, 0, config.MaxWeight)
	config.Within(&p, "max_grad_norm", c.MaxGradNorm, 0, 1e15)
	config.OneOf(&p, "lr_scheduler_type", c.LRSchedulerType, Constant, ConstantWithWarmup, Cosine, WarmupStableDecay)
	config.Within(&p, "warmup_steps", c.WarmupSteps, 0, maxSteps)
	config.Within(&p, "decay_fraction", c.DecayFraction, 0, 1)
	config.Within(&p, "max_steps", c.MaxSteps, 0, maxSteps)
	config.Within(&p, "max_minutes", c.MaxMinutes, 0, maxMinutes)
	p.Check(c.MaxSteps > 0 || c.MaxMinutes > 0, "max_steps", c.MaxSteps, "want 1 or more, or max_minutes above 0")
	config.Within(&p, "batch_size", c.BatchSize, 1, config.MaxTokens)
	config.Within(&p, "block_size", c.BlockSize, 1, config.MaxTokens)
	if b, t := c.BatchSize, c.BlockSize; b >= 1 && b <= config.MaxTokens && t >= 1 && t <= config.MaxTokens {
		p.Check(b*t <= config.MaxTokens, "batch_size", b, fmt.Sprintf(
			"want at most %d tokens in a batch, with block_size = %d: larger ones are made of several (gradient_accumulation_steps)", config.MaxTokens, t))
	}
	config.Within(&p, "gradient_accumulation_steps", c.GradientAccumulationSteps, 1, 1_000_000)
	config.Within(&p, "logging_steps", c.LoggingSteps, 1, maxSteps)
	config.Within(&p, "eval_steps", c.EvalSteps, 0, maxSteps)
	config.Within(&p, "eval_blocks", c.EvalBlocks, 0, maxSteps)
	config.Within(&p, "save_steps", c.SaveSteps, 0, maxSteps)
	return p.Err()
}

// WholePatches returns a *config.Error where block_size is not a multiple of patch (tokens) or is fewer than least patches.
// It ignores an invalid patch size, which the model's own configuration reports.
func (c Config) WholePatches(patch, least int) error {
	var p config.Problems
	if patch >= 1 && patch <= config.MaxPatch {
		p.Check(c.BlockSize%patch == 0 && c.BlockSize >= least*patch, "block_size", c.BlockSize,
			fmt.Sprintf("want a multiple of patch_size = %d, at least %d", patch, least*patch))
	}
	return p.Err()
}

// LearningRateAt returns the learning rate of a step, counted from 1, of a run of total steps. A total of 0 means that the
// end is not known yet: the rate does not decay then. Warm-up gives step n the rate lr*min(1, (n-1)/warmup). So the first
// step changes no weight but fills the optimizer's moments, as in the reference.
func (c Config) LearningRateAt(step, total int) float64 {
	s := step - 1 // steps made before
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
