package head_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
)

// problems returns the keys that an error names.
func problems(t *testing.T, err error) string {
	t.Helper()
	e, ok := errors.AsType[*config.Error](err)
	if !ok {
		t.Fatalf("%v is no *config.Error", err)
	}
	var keys []string
	for _, p := range e.Problems {
		keys = append(keys, p.Key)
	}
	return strings.Join(keys, " ")
}

func TestValidate(t *testing.T) {
	for _, k := range head.Kinds() {
		if err := head.DefaultOf(k.Name).Validate(); err != nil {
			t.Error(err)
		}
	}
	for want, c := range map[string]head.Config{
		"model_type num_samples num_mlp_layers beta noise_size target_samples": {Options: head.EnergyOptions{Beta: math.NaN()}},
		"num_samples num_mlp_layers sampling_steps":                            {ModelType: head.DiffusionType, Options: head.DiffusionOptions{SamplingSteps: 1}},
		"num_mlp_layers sampling_steps solver noise_scale":                     {ModelType: head.FlowType, NumSamples: 1, Options: head.FlowOptions{SamplingSteps: -1, NoiseScale: -1}},
		"num_samples": {ModelType: head.EnergyType, NumSamples: 1, Options: head.Default().Options},
		"model_type":  {ModelType: head.FlowType, NumSamples: 1, Options: head.Default().Options}, // another kind's options
	} {
		if got := problems(t, c.Validate()); got != want {
			t.Errorf("problems with %q, want %q", got, want)
		}
	}
}

// TestSwitchingHeads: with model_type the keys change; those that both heads have keep their values.
func TestSwitchingHeads(t *testing.T) {
	energy := head.Config{ModelType: head.EnergyType, NumSamples: 5, Options: head.EnergyOptions{NumMLPLayers: 2, Beta: 1.5, NoiseSize: 3, TargetSamples: 7}}
	flow, err := config.Set(energy, []string{"solver=euler", "model_type=flow"})
	if want := (head.Config{ModelType: head.FlowType, NumSamples: 5, Options: head.FlowOptions{NumMLPLayers: 2, Solver: "euler", NoiseScale: 1}}); err != nil || flow != want {
		t.Errorf("%+v, %v; want %+v", flow, err, want)
	}
	for set, want := range map[string]string{
		"sampling_steps=5": "--set: sampling_steps: no such key with model_type = energy, only with diffusion, flow",
		"solver=euler":     "--set: solver: no such key with model_type = energy, only with flow",
		"noise_scale=0.7":  "--set: noise_scale: no such key with model_type = energy, only with flow",
		"num_sample=5":     "--set: num_sample: unknown key; did you mean num_samples?",
	} {
		if _, err := config.Set(energy, []string{set}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", set, err, want)
		}
	}
}

// TestOldFiles: older files, which have the keys of all heads, stay valid.
func TestOldFiles(t *testing.T) {
	const all = `"num_mlp_layers": 2, "num_samples": 3, "beta": 1.5, "noise_size": 7, "target_samples": 32, `
	for file, want := range map[string]head.Options{
		all + `"sampling_steps": 0, "solver": "midpoint", "model_type": "energy"`: head.EnergyOptions{NumMLPLayers: 2, Beta: 1.5, NoiseSize: 7, TargetSamples: 32},
		all + `"sampling_steps": 4, "solver": "euler", "model_type": "diffusion"`: head.DiffusionOptions{NumMLPLayers: 2, SamplingSteps: 4},
		all + `"sampling_steps": 4, "solver": "euler", "model_type": "flow"`:      head.FlowOptions{NumMLPLayers: 2, SamplingSteps: 4, Solver: "euler", NoiseScale: 1},
		all + `"model_type": "flow"`:               head.FlowOptions{NumMLPLayers: 2, Solver: "midpoint", NoiseScale: 1}, // before there were solvers and noise_scale
		`"num_samples": 3, "model_type": "energy"`: head.Default().Options,
	} {
		got, err := config.Decode(head.Config{}, "config.json", []byte("{"+file+"}"))
		if err != nil || got.Options != want || got.NumSamples != 3 {
			t.Errorf("%s: %+v, %v; want %+v", file, got, err, want)
		}
	}
	_, err := config.Decode(head.Config{}, "config.json", []byte(`{"model_type": "energy", "sampling_steps": 5}`))
	if want := "config.json:1: sampling_steps = 5: want 0, the only value supported"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestWrittenKeys: a file has the keys of its own head.
func TestWrittenKeys(t *testing.T) {
	text, err := config.Encode(head.DefaultOf(head.FlowType))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "model_type": "flow",
  "num_samples": 8,
  "num_mlp_layers": 4,
  "sampling_steps": 0,
  "solver": "midpoint",
  "noise_scale": 1
}
`
	if string(text) != want {
		t.Errorf("%s; want %s", text, want)
	}
}

// TestRegisterRefuses: what is incomplete, or there already.
func TestRegisterRefuses(t *testing.T) {
	good, _ := head.Lookup(head.FlowType)
	good.Name = "flow_2"
	before := head.Names()
	for want, change := range map[string]func(*head.Kind){
		"a kind of that name exists": func(k *head.Kind) { k.Name = head.EnergyType },
		"its Name":                   func(k *head.Kind) { k.Name = "My Head" },
		"no Options":                 func(k *head.Kind) { k.Options = nil },
		"num_mlp_layers":             func(k *head.Kind) { k.Options = head.FlowOptions{Solver: "euler"} },
		"no New":                     func(k *head.Kind) { k.New = nil },
		"its Prefix":                 func(k *head.Kind) { k.Prefix = "mine" },
		"no Metrics":                 func(k *head.Kind) { k.Metrics = nil },
		"its metric":                 func(k *head.Kind) { k.Metrics = []head.Metric{{Name: "loss"}} },
		"its MinSamples":             func(k *head.Kind) { k.ScoresSamples = true },
		"its SamplingKeys":           func(k *head.Kind) { k.SamplingKeys = []string{"steps"} },
		"its Reference":              func(k *head.Kind) { k.Reference = head.Reference{} },
	} {
		k := good
		change(&k)
		if err := head.Register(k); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want it to say %q", err, want)
		}
	}
	if now := head.Names(); !slices.Equal(now, before) {
		t.Errorf("there are %v", now)
	}
}
