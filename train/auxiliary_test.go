package train_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/train"
)

func tinyLMTrainer(t *testing.T, change func(*lm.Config)) *train.Trainer {
	t.Helper()
	c := train.Default()
	c.BatchSize, c.BlockSize, c.WarmupSteps, c.LearningRate = 2, 20, 0, 1e-2
	cfg, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
	ae.InitializerRange = .3 // for latents of some size
	change(&cfg)
	m := lm.New(cfg, ae, nn.NewParams())
	m.Initialize(7)
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

func mustStep(t *testing.T, trainer *train.Trainer, total int) train.Report {
	t.Helper()
	r, err := trainer.Step(total, counting)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func metricNames(r train.Report) string {
	var names []string
	for _, m := range r.Metrics {
		names = append(names, m.Name)
	}
	return strings.Join(names, " ")
}

// state copies the tensors that a checkpoint would hold, by name.
func state(trainer *train.Trainer) map[string][]float32 {
	out := map[string][]float32{}
	for _, tensor := range trainer.State() {
		out[tensor.Name] = slices.Clone(tensor.Data)
	}
	return out
}

func put(trainer *train.Trainer, values map[string][]float32) {
	for _, tensor := range trainer.State() {
		copy(tensor.Data, values[tensor.Name])
	}
}

// TestTokenLossUntil turns the token loss off after three of six steps. The last three equal, bit for bit, those of a
// trainer without token loss, and the token heads do not change in them.
func TestTokenLossUntil(t *testing.T) {
	const total = 6
	with := tinyLMTrainer(t, func(c *lm.Config) { c.TokenLossWeight, c.TokenLossUntil = 4, .5 })
	const on = "energy_loss token_loss token_brier_1 token_brier_2 token_brier_3 token_brier_4"
	for step := range total / 2 {
		if got := metricNames(mustStep(t, with, total)); got != on {
			t.Errorf("step %d has the metrics %q", step, got)
		}
	}
	half := state(with)
	plain := tinyLMTrainer(t, func(*lm.Config) {})
	for range total / 2 {
		mustStep(t, plain, total)
	}
	put(plain, half)
	for step := total / 2; step < total; step++ {
		a, b := mustStep(t, with, total), mustStep(t, plain, total)
		if got := metricNames(a); got != "energy_loss" {
			t.Errorf("step %d has the metrics %q", step, got)
		}
		if a.Loss != b.Loss || a.GradNorm != b.GradNorm {
			t.Errorf("step %d: loss %v and norm %v, without token heads %v and %v", step, a.Loss, a.GradNorm, b.Loss, b.GradNorm)
		}
	}
	want, heads := state(plain), 0
	for name, got := range state(with) {
		expect := want[name]
		if strings.Contains(name, lm.TokenHeadPrefix) {
			expect = half[name]
			heads++
		}
		if !slices.Equal(got, expect) {
			t.Errorf("%s differs", name)
		}
	}
	if heads != 3*4 {
		t.Errorf("%d tensors of token heads", heads)
	}
	// The loss is on where the end is not known, and again when the run is given more steps.
	for _, total := range []int{0, 100} {
		if got := metricNames(mustStep(t, with, total)); got != on {
			t.Errorf("of %d steps, step %d has the metrics %q", total, with.Steps(), got)
		}
	}
}

// TestHeadLearningRate: AdamW's first update is the sign of the gradient times the learning rate. So the multiplier scales
// the first update of the generative head's parameters, and changes no other.
func TestHeadLearningRate(t *testing.T) {
	moved := func(factor float64) map[string]float64 {
		trainer := tinyLMTrainer(t, func(c *lm.Config) { c.HeadLearningRate = factor })
		trainer.Config.WeightDecay = 0
		before := state(trainer)
		mustStep(t, trainer, 0)
		out := map[string]float64{}
		for name, v := range state(trainer) {
			for i := range v {
				out[name] = max(out[name], float64(v[i]-before[name][i]))
			}
		}
		return out
	}
	once, thrice := moved(1), moved(3)
	for _, c := range []struct {
		name   string
		factor float64
	}{{"mlp_generator.final_layer.linears.2.weight", 3}, {"mlp_generator.final_layer.linears.2.bias", 3}} {
		if got := thrice[c.name] / once[c.name]; !(got > .999*c.factor && got < 1.001*c.factor) {
			t.Errorf("%s moves %g times as far, want %g", c.name, got, c.factor)
		}
	}
	// A head whose last layer is zero passes no gradient on in the first step. The token loss gives the backbone one.
	anchored := tinyLMTrainer(t, func(c *lm.Config) { c.HeadLearningRate, c.TokenLossWeight = 3, 1 })
	plain := tinyLMTrainer(t, func(c *lm.Config) { c.TokenLossWeight = 1 })
	mustStep(t, anchored, 0)
	mustStep(t, plain, 0)
	a, b := state(anchored), state(plain)
	for name := range b {
		if strings.HasPrefix(name, "transformer.") && !slices.Equal(a[name], b[name]) {
			t.Errorf("the multiplier changes the update of %s", name)
		}
	}
}

// TestEnergyOfCoincidingSamples trains from a head whose last layer is zero: all samples are equal. With beta < 1 the
// reference's gradient is NaN there. The test checks that there is a gradient, and that the loss falls.
func TestEnergyOfCoincidingSamples(t *testing.T) {
	for _, beta := range []float64{.25, .5, .75, 1, 1.5, 2} {
		t.Run(fmt.Sprint(beta), func(t *testing.T) {
			trainer := tinyLMTrainer(t, func(c *lm.Config) { *c = testkit.Set(*c, fmt.Sprintf("beta=%g", beta)) })
			first := mustStep(t, trainer, 0)
			if first.GradNorm == 0 {
				t.Error("no gradient")
			}
			last := first
			for range 30 {
				last = mustStep(t, trainer, 0)
			}
			if !(last.Loss < first.Loss) {
				t.Errorf("the loss went from %g to %g", first.Loss, last.Loss)
			}
		})
	}
}

// TestAnchor: the anchor loss is added to the loss, is reported, and pulls samples to the posterior's mean.
func TestAnchor(t *testing.T) {
	trainer := tinyLMTrainer(t, func(c *lm.Config) { c.MSEAnchor = 10 })
	first := mustStep(t, trainer, 0)
	if got := metricNames(first); got != "energy_loss anchor_loss" {
		t.Fatalf("metrics %q", got)
	}
	if want := first.Metrics[0].Value + 10*first.Metrics[1].Value; !(first.Loss > .99999*want && first.Loss < 1.00001*want) {
		t.Errorf("loss %g, want %g", first.Loss, want)
	}
	// With almost no anchor the error stays larger: the energy score keeps samples apart.
	barely := tinyLMTrainer(t, func(c *lm.Config) { c.MSEAnchor = 1e-6 })
	var with, without float64
	for range 40 {
		with, without = mustStep(t, trainer, 0).Metrics[1].Value, mustStep(t, barely, 0).Metrics[1].Value
	}
	if !(with < .9*without && with < first.Metrics[1].Value) {
		t.Errorf("the mean squared error went from %g to %g, without the anchor to %g", first.Metrics[1].Value, with, without)
	}
}
