package train_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/train"
)

// tinyTrainer trains an autoencoder on two rows of eight tokens.
func tinyTrainer(t *testing.T, change func(*train.Config)) *train.Trainer {
	t.Helper()
	c := train.Default()
	c.BatchSize, c.BlockSize, c.WarmupSteps, c.LearningRate, c.MaxSteps = 2, 8, 0, 1e-2, 10
	change(&c)
	m := autoencoder.New(testkit.TinyAutoencoder(), nn.NewParams(), "")
	m.Params.Initialize(7)
	o, err := m.Objective(c)
	if err != nil {
		t.Fatal(err)
	}
	eng := cpu.New(cpu.Options{Threads: 1})
	t.Cleanup(eng.Close)
	tr, err := train.New(eng, o, c)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func counting(dst []int32) error {
	for i := range dst {
		dst[i] = int32(i)
	}
	return nil
}

func values(ps *nn.Params) []float32 {
	var all []float32
	for _, p := range ps.All() {
		all = append(all, p.Data...)
	}
	return all
}

func TestDiverged(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), math.MaxFloat32} {
		trainer := tinyTrainer(t, func(*train.Config) {})
		for range 2 {
			if _, err := trainer.Step(10, counting); err != nil {
				t.Fatal(err)
			}
		}
		p := trainer.Objective.Params.Trainable()[0]
		p.Data[0] = bad
		for i := range p.Data {
			p.Data[i] = bad
		}
		before := values(trainer.Objective.Params)
		_, err := trainer.Step(10, counting)
		var diverged *train.DivergedError
		if !errors.As(err, &diverged) {
			t.Fatalf("with parameters of %g: %v, want a *DivergedError", bad, err)
		}
		if diverged.Step != 3 || trainer.Steps() != 2 || !strings.Contains(err.Error(), "at step 3 (") {
			t.Errorf("the error is of step %d (%v), %d steps are made", diverged.Step, err, trainer.Steps())
		}
		same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
		if !slices.EqualFunc(before, values(trainer.Objective.Params), same) {
			t.Errorf("with parameters of %g the step changed some", bad)
		}
	}
}

// TestFailingBatch: if the second batch of an accumulated step cannot be read, the step is not made.
func TestFailingBatch(t *testing.T) {
	trainer := tinyTrainer(t, func(c *train.Config) { c.GradientAccumulationSteps = 2 })
	before, broken, calls := values(trainer.Objective.Params), errors.New("broken"), 0
	_, err := trainer.Step(10, func(dst []int32) error {
		if calls++; calls == 2 {
			return broken
		}
		return counting(dst)
	})
	if !errors.Is(err, broken) || trainer.Steps() != 0 || !slices.Equal(before, values(trainer.Objective.Params)) {
		t.Errorf("%v after %d steps; the parameters are the same: %v", err, trainer.Steps(), slices.Equal(before, values(trainer.Objective.Params)))
	}
}

// TestClipping: the reported norm is the one before clipping, and a limit that is never reached changes nothing.
func TestClipping(t *testing.T) {
	results := map[float64][]float32{}
	for _, most := range []float64{0, 1e-3, 1e9} {
		trainer := tinyTrainer(t, func(c *train.Config) { c.MaxGradNorm, c.AdamEpsilon = most, 1 })
		r, err := trainer.Step(10, counting)
		if err != nil || r.GradNorm < .1 {
			t.Fatalf("gradient's norm %g, error %v", r.GradNorm, err)
		}
		results[most] = values(trainer.Objective.Params)
	}
	if !slices.Equal(results[0], results[1e9]) || slices.Equal(results[0], results[1e-3]) {
		t.Error("clipping at 1e9 should be none, at 1e-3 some")
	}
}

func TestWholePatches(t *testing.T) {
	c := train.Default()
	c.BlockSize = 10
	if _, err := autoencoder.New(testkit.TinyAutoencoder(), nn.NewParams(), "").Objective(c); err == nil || !strings.Contains(err.Error(), "block_size = 10: want a multiple") {
		t.Errorf("blocks of 10 tokens and patches of 4: %v", err)
	}
}
