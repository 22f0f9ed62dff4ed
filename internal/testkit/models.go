package testkit

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
)

// TinyAutoencoder returns an autoencoder's configuration over calm's byte tokenizer, which trains in moments. Its sizes are no
// multiples of a vector register's, to test the remainders of loops.
func TinyAutoencoder() autoencoder.Config {
	c := autoencoder.Presets()["quickstart"]
	c.HiddenSize, c.IntermediateSize, c.LatentSize = 22, 37, 9
	return c
}

// TinyLM returns a language model's configuration over TinyAutoencoder, with grouped-query attention and all additions of calm
// (docs/spec.md, section 7) off.
func TinyLM() lm.Config {
	c := lm.Presets()["lm-bytes"]
	c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads, c.NumKeyValueHeads = 24, 41, 2, 4, 2
	c.LatentSize, c.NumSamples, c.MaxPositionEmbeddings = 9, 3, 64
	return Set(c, "noise_size=11", "target_samples=5")
}

// Set changes keys of a configuration, like --set. The key model_type selects another head, with other keys. It panics on an
// error.
func Set[T any](c T, sets ...string) T {
	c, err := config.Set(c, sets)
	if err != nil {
		panic(err)
	}
	return c
}

// TinyAR returns a token-level baseline's configuration over calm's byte tokenizer.
func TinyAR() ar.Config {
	c := ar.Presets()["ar-bytes"]
	c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads, c.NumKeyValueHeads = 24, 41, 2, 4, 2
	c.MaxPositionEmbeddings = 256
	return c
}

// Autoencoder builds the autoencoder of a case whose model is one.
func (c Case) Autoencoder(t testing.TB) *autoencoder.Model {
	t.Helper()
	m := autoencoder.New(c.autoencoderConfig(t, "config.json"), nn.NewParams(), "")
	c.Load(t, m.Params)
	return m
}

// autoencoderConfig reads an autoencoder's configuration. Besides the keys that are ignored for all models, it ignores the number
// of positions, which an autoencoder does not use, and tie_word_embeddings, which the reference's files set to false although
// the table is always tied.
func (c Case) autoencoderConfig(t testing.TB, path string) autoencoder.Config {
	t.Helper()
	ignore := config.Reference()
	ignore["max_position_embeddings"], ignore["tie_word_embeddings"] = "", ""
	return load(t, autoencoder.Default(), filepath.Join(c.Dir, path), ignore)
}

// LM builds the case's language model.
func (c Case) LM(t testing.TB) *lm.Model {
	t.Helper()
	cfg := load(t, lm.Default(), filepath.Join(c.Dir, "config.json"), config.Reference())
	ae := c.autoencoderConfig(t, filepath.Join(cfg.AEPath, "config.json"))
	if err := cfg.ValidateWith(ae); err != nil {
		t.Fatalf("%s: %v", c.Name, err)
	}
	m := lm.New(cfg, ae, nn.NewParams())
	c.Load(t, m.Params)
	return m
}

// WithHead returns a tiny language model with a head of a kind. A head that samples in steps takes three. No weights are constant,
// so that all affect the results.
func WithHead(kind string) *lm.Model {
	c, ae := TinyLM(), TinyAutoencoder()
	c.InitializerRange, ae.InitializerRange = .3, .3
	if c = Set(c, "model_type="+kind); slices.Contains(config.Keys(c), head.SamplingSteps) {
		c = Set(c, head.SamplingSteps+"=3")
	}
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(3)
	Perturb(m.Params, 5, .3)
	return m
}

// AR builds the case's token-level baseline.
func (c Case) AR(t testing.TB) *ar.Model {
	t.Helper()
	m := ar.New(load(t, ar.Default(), filepath.Join(c.Dir, "config.json"), config.Reference()), nn.NewParams())
	c.Load(t, m.Params)
	return m
}

// load reads a configuration of the reference, where unknown keys are errors, and validates it.
func load[T config.Validator](t testing.TB, over T, path string, ignore config.Ignored) T {
	t.Helper()
	c, err := config.Compose(over, path, nil, ignore)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Perturb adds noise to the parameters whose initial values are constant (norms, biases, the head's last layer), so that all
// parameters have gradients.
func Perturb(ps *nn.Params, seed uint64, std float32) {
	noise := nn.NewParams()
	for _, p := range ps.All() {
		if p.Init.IsConstant() {
			noise.Vector(p.Name, nn.Gaussian(std), p.Size())
		}
	}
	noise.Initialize(seed)
	for _, q := range noise.All() {
		data := ps.Get(q.Name).Data
		for i := range data {
			data[i] += q.Data[i]
		}
	}
}
