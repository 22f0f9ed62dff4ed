package train_test

import (
	"slices"
	"testing"

	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/train"
)

// goldenSettings is the case.json of a golden training case.
type goldenSettings struct {
	Hyper struct {
		LearningRate    float64 `json:"learning_rate"`
		AdamBeta1       float64 `json:"adam_beta1"`
		AdamBeta2       float64 `json:"adam_beta2"`
		AdamEpsilon     float64 `json:"adam_epsilon"`
		WeightDecay     float64 `json:"weight_decay"`
		MaxGradNorm     float64 `json:"max_grad_norm"`
		LRSchedulerType string  `json:"lr_scheduler_type"`
		WarmupSteps     int     `json:"warmup_steps"`
		MaxSteps        int     `json:"max_steps"`
	} `json:"hyper"`
	WeightDecay   []string `json:"weight_decay"`
	NoWeightDecay []string `json:"no_weight_decay"`
}

func (s goldenSettings) config(rows, tokens int) train.Config {
	c, h := train.Default(), s.Hyper
	c.LearningRate, c.AdamBeta1, c.AdamBeta2, c.AdamEpsilon = h.LearningRate, h.AdamBeta1, h.AdamBeta2, h.AdamEpsilon
	c.WeightDecay, c.MaxGradNorm, c.LRSchedulerType = h.WeightDecay, h.MaxGradNorm, h.LRSchedulerType
	c.WarmupSteps, c.MaxSteps, c.BatchSize, c.BlockSize = h.WarmupSteps, h.MaxSteps, rows, tokens
	return c
}

// goldenDraws maps the graphs' random tensors to their names in the golden case.
var goldenDraws = map[string]string{
	"autoencoder.token_keep": "in.token_keep",
	"autoencoder.eps":        "in.eps",
	"autoencoder.dropout":    "in.dropout",
	"head.noise":             "in.noise",
	"head.target_eps":        "in.target_eps",
}

func TestGoldenTrainAutoencoder(t *testing.T) {
	for _, c := range testkit.Golden(t, "train_autoencoder") {
		t.Run(c.Name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
				goldenTraining(t, c, e, func(cfg train.Config) (*train.Objective, error) {
					return c.Autoencoder(t).Objective(cfg)
				})
			})
		})
	}
}

func TestGoldenTrainEnergy(t *testing.T) {
	for _, c := range testkit.Golden(t, "train_energy") {
		t.Run(c.Name, func(t *testing.T) {
			testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
				goldenTraining(t, c, e, func(cfg train.Config) (*train.Objective, error) {
					return c.LM(t).Objective(cfg)
				})
			})
		})
	}
}

func goldenTraining(t *testing.T, c testkit.Case, e *cpu.Engine, objective func(train.Config) (*train.Objective, error)) {
	var s goldenSettings
	c.Settings(t, &s)
	shape := c.Shape(t, "in.input_ids")
	cfg := s.config(shape[1], shape[2])
	o, err := objective(cfg)
	if err != nil {
		t.Fatal(err)
	}
	checkDecay(t, o.Params, s)
	trainer, err := train.New(e, o, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ids := c.Ints(t, "in.input_ids")
	var loss, norm, lr []float32
	for step := range shape[0] {
		feedDraws(t, c, trainer, step, shape[0])
		r, err := trainer.Step(cfg.MaxSteps, func(dst []int32) error {
			copy(dst, ids[step*len(dst):])
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		loss, norm, lr = append(loss, float32(r.Loss)), append(norm, float32(r.GradNorm)), append(lr, float32(r.LearningRate))
		switch step {
		case 1:
			compareParams(t, c, o.Params, "after2.", 1e-5)
		case shape[0] - 1:
			compareParams(t, c, o.Params, "final.", 5e-5)
		}
	}
	testkit.Compare(t, "out.loss", loss, c.Floats(t, "out.loss"), 1e-5)
	testkit.Compare(t, "out.grad_norm", norm, c.Floats(t, "out.grad_norm"), 3e-5)
	testkit.Compare(t, "out.lr", lr, c.Floats(t, "out.lr"), 1e-6)
}

func checkDecay(t *testing.T, ps *nn.Params, s goldenSettings) {
	t.Helper()
	for _, p := range ps.Trainable() {
		decays, stays := slices.Contains(s.WeightDecay, p.Name), slices.Contains(s.NoWeightDecay, p.Name)
		if decays == stays || decays != p.Decay {
			t.Errorf("%s: weight decay %v; in the case's list with decay: %v, without: %v", p.Name, p.Decay, decays, stays)
		}
	}
	if n := len(s.WeightDecay) + len(s.NoWeightDecay); n != len(ps.Trainable()) {
		t.Errorf("%d trainable parameters, the case has %d", len(ps.Trainable()), n)
	}
}

// feedDraws sets a step's random draws to those of the case, and fails if the graph has a draw that the case lacks.
func feedDraws(t *testing.T, c testkit.Case, trainer *train.Trainer, step, steps int) {
	t.Helper()
	fed := 0
	for _, tensor := range trainer.Objective.Graph.Tensors() {
		if tensor.Role() != nn.RandomVar || tensor.Name() == "" {
			continue
		}
		all := drawn(t, c, goldenDraws[tensor.Name()])
		size := len(all) / steps
		trainer.Program.Feed(tensor, all[step*size:(step+1)*size])
		fed++
	}
	if fed < 2 {
		t.Fatalf("%d random tensors in the graph", fed)
	}
}

// drawn reads draws of the case. The mask of kept tokens is stored as integers.
func drawn(t *testing.T, c testkit.Case, name string) []float32 {
	if name != "in.token_keep" {
		return c.Floats(t, name)
	}
	var out []float32
	for _, keep := range c.Ints(t, name) {
		out = append(out, float32(keep))
	}
	return out
}

func compareParams(t *testing.T, c testkit.Case, ps *nn.Params, prefix string, tolerance float64) {
	t.Helper()
	names := c.Names(prefix)
	if len(names) != len(ps.Trainable()) {
		t.Errorf("the case has %d tensors %s*, the model %d trainable parameters", len(names), prefix, len(ps.Trainable()))
	}
	for _, name := range names {
		p := ps.Get(name[len(prefix):])
		if p == nil {
			t.Errorf("there is no parameter for %s", name)
			continue
		}
		testkit.Compare(t, name, p.Data, c.Floats(t, name), tolerance)
	}
}
