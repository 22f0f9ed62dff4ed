package run_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/run"
	"github.com/calm-go/calm/tokenizer"
)

// tinyHead trains a language model with the named head for two steps.
func tinyHead(t *testing.T, kind string) run.Options {
	text := tinyText(t)
	ae := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "ae"), Set: tinyAE, Data: []string{text}, Steps: 3}
	trainTo(t, 1, 0, ae)
	o := run.Options{Kind: run.LM, Out: filepath.Join(t.TempDir(), kind), Set: append(slices.Clone(tinyLanguage), "model_type="+kind),
		Data: []string{text}, AE: ae.Out, Steps: 2}
	trainTo(t, 1, 0, o)
	return o
}

// TestOpenWithSteps checks that Open can set the sampling keys of a trained model's head, and no other keys.
func TestOpenWithSteps(t *testing.T) {
	flow := tinyHead(t, "flow")
	m, err := run.Open(flow.Out, "sampling_steps=3", "solver=euler", "noise_scale=0.5")
	if err != nil || m.Network.(*lm.Model).Config.Options != (head.FlowOptions{NumMLPLayers: 1, SamplingSteps: 3, Solver: "euler", NoiseScale: .5}) {
		t.Fatalf("%+v, %v", m, err)
	}
	if m, err = run.Open(flow.Out); err != nil || m.Network.(*lm.Model).Config.Options != (head.FlowOptions{NumMLPLayers: 1, Solver: "midpoint", NoiseScale: 1}) {
		t.Fatalf("the setting was kept: %+v, %v", m, err)
	}
	diffusion, energy := tinyHead(t, "diffusion"), tinyHead(t, "energy")
	if m, err = run.Open(diffusion.Out, "sampling_steps=3"); err != nil || m.Network.(*lm.Model).Head.Steps() != 3 {
		t.Fatalf("%+v, %v", m, err)
	}
	for set, dir := range map[string]string{"solver = midpoint": diffusion.Out, "solver=midpoint": energy.Out, "sampling_steps=0": energy.Out, "beta=1.5": flow.Out, "hidden_size=8": flow.Out, "sampling_steps": flow.Out, "sampling_steps=-1": flow.Out,
		"sampling_steps=2000000": flow.Out, "noise_scale=-1": flow.Out, "noise_scale=nan": flow.Out, "noise_scale=0.7": energy.Out, "noise_scale=0.70": diffusion.Out, "solver=magic": flow.Out, "solver=euler": flow.AE} {
		_, err := run.Open(dir, set)
		_, usage := errors.AsType[*run.UsageError](err)
		_, bad := errors.AsType[*config.Error](err)
		if !usage && !bad {
			t.Errorf("%s: %v, want a *run.UsageError or *config.Error", set, err)
		}
	}
}

// TestPartsOfHeads checks that every parameter of a model, with any head, belongs to a named part.
func TestPartsOfHeads(t *testing.T) {
	tok := tokenizer.Bytes()
	ae, err := run.AEPreset("quickstart", tok)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range head.Names() {
		c, err := run.LMPreset("quickstart", ae.AutoencoderConfig)
		if err != nil {
			t.Fatal(err)
		}
		c = testkit.Set(c, "model_type="+kind, "input=both")
		ps := nn.NewParams()
		m := run.Model{Common: &c.Common, Params: ps, Network: lm.New(c.LanguageConfig, ae.AutoencoderConfig, ps)}
		cost, err := m.Cost(0)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range cost.Parameters {
			names = append(names, p.Name)
		}
		if want := "embeddings input backbone head token_heads autoencoder"; strings.Join(names, " ") != want {
			t.Errorf("%s: parts %v, want %s", kind, names, want)
		}
	}
}

// TestOlderRun checks that a run without the keys solver, sampling_steps and noise_scale, made before they existed, opens.
func TestOlderRun(t *testing.T) {
	o := tinyHead(t, "flow")
	path := filepath.Join(o.Out, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	delete(keys, "solver")
	delete(keys, "sampling_steps")
	delete(keys, "noise_scale")
	if data, err = json.Marshal(keys); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	accept(t, o.Out)
	m, err := run.Open(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Network.(*lm.Model).Config.Options.(head.FlowOptions); got.NoiseScale != 1 {
		t.Errorf("%+v, want the noise of training", got)
	}
}

// TestDivergedMeasurement checks that an untrained diffusion head, whose sampler diverges, does not end the training. The
// measurement still has the loss. All samples count as diverged, and BrierLM has its worst value.
func TestDivergedMeasurement(t *testing.T) {
	lines := metricsOf(t, tinyHead(t, "diffusion").Out)
	last := lines[len(lines)-1]
	for _, want := range []string{"kind:measured", "sampler_diverged:1 ", "diffusion_loss:", "diffusion_mse:", "diffusion_vb:", "brier_1:-100 ", "brier_lm:<nil> "} {
		if !strings.Contains(last, want) {
			t.Errorf("no %s in %s", want, last)
		}
	}
}
