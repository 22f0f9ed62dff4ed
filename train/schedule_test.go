package train_test

import (
	"errors"
	"math"
	"testing"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/train"
)

// TestLearningRate compares every schedule with rates computed by hand.
func TestLearningRate(t *testing.T) {
	const lr = 1e-3
	type at struct {
		step, total int     // steps made before, as the formulas count
		want        float64 // of lr
	}
	cases := []struct {
		schedule string
		warmup   int
		decay    float64
		at       []at
	}{
		{train.Constant, 0, .4, []at{{0, 10, 1}, {9, 10, 1}, {9, 0, 1}}},
		{train.ConstantWithWarmup, 4, .4, []at{{0, 10, 0}, {1, 10, .25}, {3, 10, .75}, {4, 10, 1}, {9, 10, 1}, {100, 0, 1}}},
		// Half a cosine from the end of the warm-up to the end: at a quarter (1+cos 45)/2, at half 1/2.
		{train.Cosine, 2, .4, []at{{0, 10, 0}, {1, 10, .5}, {2, 10, 1}, {4, 10, (1 + math.Sqrt2/2) / 2}, {6, 10, .5}, {10, 10, 0}, {12, 10, 0}, {6, 0, 1}}},
		{train.Cosine, 0, .4, []at{{0, 2, 1}, {1, 2, .5}}},
		// In the last .4 of 10 steps the rate falls linearly: it is (10-s)/4 after s steps.
		{train.WarmupStableDecay, 2, .4, []at{{0, 10, 0}, {1, 10, .5}, {2, 10, 1}, {6, 10, 1}, {7, 10, .75}, {8, 10, .5}, {9, 10, .25}, {9, 0, 1}}},
		{train.WarmupStableDecay, 0, 0, []at{{0, 10, 1}, {9, 10, 1}}},
		{train.WarmupStableDecay, 0, 1, []at{{0, 4, 1}, {1, 4, .75}, {3, 4, .25}}},
	}
	checked := 0
	for _, c := range cases {
		cfg := train.Default()
		cfg.LearningRate, cfg.LRSchedulerType, cfg.WarmupSteps, cfg.DecayFraction = lr, c.schedule, c.warmup, c.decay
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, a := range c.at {
			if got := cfg.LearningRateAt(a.step+1, a.total); math.Abs(got-a.want*lr) > 1e-15 {
				t.Errorf("%s, warm-up %d, step %d of %d: %g, want %g", c.schedule, c.warmup, a.step, a.total, got, a.want*lr)
			}
			checked++
		}
	}
	if checked < 30 {
		t.Fatalf("%d rates were checked", checked)
	}
}

func TestValidateReportsEverything(t *testing.T) {
	c := train.Default()
	c.LearningRate, c.AdamBeta2, c.LRSchedulerType, c.MaxSteps, c.BatchSize = math.NaN(), 1, "linear", 0, 0
	var problems *config.Error
	if err := c.Validate(); !errors.As(err, &problems) {
		t.Fatalf("%v, want a *config.Error", err)
	}
	keys := map[string]bool{}
	for _, p := range problems.Problems {
		keys[p.Key] = true
	}
	for _, key := range []string{"learning_rate", "adam_beta2", "lr_scheduler_type", "max_steps", "batch_size"} {
		if !keys[key] {
			t.Errorf("%s is not reported: %v", key, problems)
		}
	}
	if len(keys) != 5 {
		t.Errorf("%d keys are wrong, want 5: %v", len(keys), problems)
	}
}
