package head_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

func newFlow(t *testing.T) (*head.Flow, *nn.Params) {
	t.Helper()
	o := head.FlowOptions{NumMLPLayers: 2, SamplingSteps: 4, Solver: "midpoint", NoiseScale: 1}
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	ps := nn.NewParams()
	h := head.NewFlow(o, hidden, latent, ps)
	ps.Initialize(1)
	return h, ps
}

// TestFirstWeights: Xavier-uniform, the time's MLP from N(0, .02), and zero where the untrained network must return 0.
func TestFirstWeights(t *testing.T) {
	_, ps := newFlow(t)
	xavier := 0
	for _, p := range ps.All() {
		least, greatest := slices.Min(p.Data), slices.Max(p.Data)
		zero := strings.Contains(p.Name, "adaLN") || strings.HasSuffix(p.Name, ".bias") || strings.Contains(p.Name, "final_layer")
		switch {
		case zero:
			if least != 0 || greatest != 0 {
				t.Errorf("%s is in [%v, %v], want 0", p.Name, least, greatest)
			}
		case strings.HasSuffix(p.Name, "in_ln.weight"):
			if least != 1 || greatest != 1 {
				t.Errorf("%s is in [%v, %v], want 1", p.Name, least, greatest)
			}
		case strings.Contains(p.Name, "time_embed"):
			checkDeviation(t, p, .02)
		default:
			xavier++
			bound := math.Sqrt(6 / float64(p.Shape[0]+p.Shape[1]))
			if math.Abs(float64(least))/bound > 1 || float64(greatest)/bound > 1 || float64(greatest-least)/bound < 1.8 {
				t.Errorf("%s is in [%v, %v], want almost all of ±%v", p.Name, least, greatest, bound)
			}
			checkDeviation(t, p, bound/math.Sqrt(3))
		}
	}
	if xavier != 6 {
		t.Errorf("%d Xavier-uniform matrices, want 6", xavier)
	}
}

func checkDeviation(t *testing.T, p *nn.Param, want float64) {
	t.Helper()
	sum := 0.
	for _, v := range p.Data {
		sum += float64(v) * float64(v)
	}
	if got := math.Sqrt(sum / float64(p.Size())); math.Abs(got/want-1) > .15 {
		t.Errorf("%s has standard deviation %v, want %v", p.Name, got, want)
	}
}

// TestUntrainedFlow: the velocity of an untrained network is 0, so a draw is its noise.
func TestUntrainedFlow(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	h, _ := newFlow(t)
	noise := normal(2, samples*places*latent)
	got, err := h.NewSampler(e, places, samples).Sample(normal(1, places*hidden), noise)
	if err != nil || !slices.Equal(got, noise) {
		t.Errorf("%v, %v; want the noise %v", got, err, noise)
	}
}

// TestStepsAreValidated: each head has its own range, and the energy head has no steps.
func TestStepsAreValidated(t *testing.T) {
	for kind, c := range map[string]struct{ good, bad []int }{
		head.EnergyType: {nil, []int{-1, 0, 1, 10}}, head.DiffusionType: {[]int{0, 2, 999, 1000}, []int{-1, 1, 1001}},
		head.FlowType: {[]int{0, 1, 10, 5000}, []int{-1, 1 << 30}},
	} {
		for _, n := range slices.Concat(c.good, c.bad) {
			_, err := config.Compose(head.Default(), "", []string{"model_type=" + kind, fmt.Sprintf("sampling_steps=%d", n)})
			if (err == nil) != slices.Contains(c.good, n) {
				t.Errorf("%d steps of %s: %v", n, kind, err)
			}
		}
	}
}
