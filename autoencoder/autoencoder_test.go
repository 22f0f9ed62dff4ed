package autoencoder_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// tiny returns a tiny model. Its weights are large, so that every part of it changes the result.
func tiny() *autoencoder.Model {
	c := testkit.TinyAutoencoder()
	c.InitializerRange = .2
	c.MLPBias = true
	m := autoencoder.New(c, nn.NewParams(), "")
	m.Params.Initialize(3)
	testkit.Perturb(m.Params, 4, .1)
	return m
}

func randomIDs(n, vocab int) []int32 {
	rng := rand.New(rand.NewPCG(5, 6))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(rng.IntN(vocab))
	}
	return ids
}

func TestPresets(t *testing.T) {
	for name, c := range autoencoder.Presets() {
		if err := c.Validate(); err != nil {
			t.Errorf("preset %s: %v", name, err)
		}
	}
}

// TestSize: docs/spec.md, section 6 has 75.8M.
func TestSize(t *testing.T) {
	m := autoencoder.New(autoencoder.Default(), nn.NewParams(), "")
	if all, trainable := m.Params.Count(); all != trainable || math.Round(float64(all)/1e5) != 758 {
		t.Errorf("%d parameters, %d trainable; want 75.8M", all, trainable)
	}
}

func TestValidateReportsEverything(t *testing.T) {
	c := autoencoder.Default()
	bad := -.5
	c.PatchSize, c.AEDropout, c.KLClamp, c.HiddenAct, c.PadTokenID = 0, 1, math.NaN(), "gelu", c.VocabSize
	c.TokenDropout, c.LatentDropout = &bad, &bad
	var e *config.Error
	if !errors.As(c.Validate(), &e) {
		t.Fatal("no *config.Error")
	}
	var keys []string
	for _, p := range e.Problems {
		keys = append(keys, p.Key)
	}
	if got, want := strings.Join(keys, " "), "patch_size ae_dropout token_dropout latent_dropout kl_clamp hidden_act pad_token_id"; got != want {
		t.Errorf("problems with %q, want %q", got, want)
	}
}

func TestFreeze(t *testing.T) {
	ps := nn.NewParams()
	other := ps.Vector("other", nn.Constant(0), 3)
	m := autoencoder.New(testkit.TinyAutoencoder(), ps, "ae_model.")
	m.Freeze()
	late := ps.Vector("late", nn.Constant(0), 3)
	for _, p := range ps.All() {
		if want := p != other && p != late; p.Frozen != want {
			t.Errorf("%s: frozen is %v, want %v", p.Name, p.Frozen, want)
		}
	}
}

func TestGradients(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		m := tiny()
		tr := m.Training(7)
		p := e.Compile(tr.Graph, cpu.Training)
		copy(p.Ints(tr.IDs), randomIDs(7*4, m.Config.VocabSize))
		testkit.FiniteDifferences(t, p, m.Params)
	})
}

// TestTrainingWithoutDropout: with a rate of 0 the graph has no masks, and one step's loss is the evaluation's.
func TestTrainingWithoutDropout(t *testing.T) {
	c := testkit.TinyAutoencoder()
	c.AEDropout, c.InitializerRange = 0, .2
	m := autoencoder.New(c, nn.NewParams(), "")
	m.Params.Initialize(3)
	e := cpu.New(cpu.Options{})
	defer e.Close()
	tr, ev := m.Training(5), m.Evaluation(5)
	if tr.Keep != nil || tr.Dropout != nil {
		t.Error("there are masks")
	}
	p, q := e.Compile(tr.Graph, cpu.Training), e.Compile(ev.Graph, cpu.Inference)
	ids := randomIDs(5*4, c.VocabSize)
	copy(p.Ints(tr.IDs), ids)
	copy(q.Ints(ev.IDs), ids)
	p.SetDraws(1, 2)
	q.SetDraws(1, 2)
	run(t, p.Step(false))
	run(t, q.Forward())
	testkit.Compare(t, "cross entropy", p.Floats(tr.Tokens.Loss), q.Floats(ev.Tokens.Loss), 1e-6)
	want := float64(c.PatchSize)*float64(p.Scalar(tr.Tokens.Loss)) + c.KLWeight*float64(p.Scalar(tr.KL))
	if got := p.Loss(); math.Abs(got-want) > 1e-6*want {
		t.Errorf("loss %v, want %v", got, want)
	}
}

// TestDropouts: each kind has its own rate if that is set, even to 0, and otherwise ae_dropout.
func TestDropouts(t *testing.T) {
	rate := func(v float64) *float64 { return &v }
	for _, c := range []struct {
		common        float64
		token, latent *float64
		keep, kept    float32 // probabilities that an element is kept; 1: no mask
	}{
		{.15, nil, nil, .85, .85}, {.15, rate(0), nil, 1, .85}, {.15, nil, rate(0), .85, 1}, {0, rate(.4), nil, .6, 1},
		{0, nil, rate(.4), 1, .6}, {.15, rate(0), rate(0), 1, 1}, {.15, rate(.5), rate(.25), .5, .75},
	} {
		cfg := testkit.TinyAutoencoder()
		cfg.AEDropout, cfg.TokenDropout, cfg.LatentDropout = c.common, c.token, c.latent
		m := autoencoder.New(cfg, nn.NewParams(), "")
		tr := m.Training(3)
		check := func(what string, mask *nn.Tensor, p, value float32) {
			if (mask == nil) != (p == 1) {
				t.Errorf("%+v: %s: a mask: %t", c, what, mask != nil)
			} else if mask != nil && mask.Dist() != nn.Bernoulli(p, value) {
				t.Errorf("%+v: %s: drawn from %+v, want %g with probability %g", c, what, mask.Dist(), value, p)
			}
		}
		check("ids", tr.Keep, c.keep, 1)
		check("latents", tr.Dropout, c.kept, 1/c.kept)
	}
}

// TestAblations: with one part of the recipe off, gradients equal finite differences, and the loss is the formula
// without that part.
func TestAblations(t *testing.T) {
	zero := 0.
	e := cpu.New(cpu.Options{})
	defer e.Close()
	for name, change := range map[string]func(*autoencoder.Config){
		"no kl":             func(c *autoencoder.Config) { c.KLWeight = 0 },
		"no clamp":          func(c *autoencoder.Config) { c.KLClamp = 0 },
		"no token dropout":  func(c *autoencoder.Config) { c.TokenDropout = &zero },
		"no latent dropout": func(c *autoencoder.Config) { c.LatentDropout = &zero },
		"latent size 1":     func(c *autoencoder.Config) { c.LatentSize = 1 },
		"no layers":         func(c *autoencoder.Config) { c.NumEncoderLayers, c.NumDecoderLayers = 0, 0 },
		"odd layers":        func(c *autoencoder.Config) { c.NumEncoderLayers, c.NumDecoderLayers = 1, 3 },
		"more layers":       func(c *autoencoder.Config) { c.NumEncoderLayers, c.NumDecoderLayers = 6, 4 },
		"k 1":               func(c *autoencoder.Config) { c.PatchSize = 1 },
		"k 7":               func(c *autoencoder.Config) { c.PatchSize = 7 },
	} {
		t.Run(name, func(t *testing.T) {
			c := testkit.TinyAutoencoder()
			c.InitializerRange = .2
			change(&c)
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			m := autoencoder.New(c, nn.NewParams(), "")
			m.Params.Initialize(3)
			testkit.Perturb(m.Params, 4, .1)
			tr := m.Training(7)
			tr.Graph.Output(tr.Posterior.Mean, tr.Posterior.LogStd)
			p := e.Compile(tr.Graph, cpu.Training)
			copy(p.Ints(tr.IDs), randomIDs(7*c.PatchSize, c.VocabSize))
			testkit.FiniteDifferences(t, p, m.Params)
			run(t, p.Step(false))
			kl := 0.
			for i, mean := range p.Floats(tr.Posterior.Mean) {
				mu, s := float64(mean), float64(p.Floats(tr.Posterior.LogStd)[i])
				kl += max(.5*(mu*mu+math.Exp(2*s)-1-2*s), c.KLClamp) / 7
			}
			if got := float64(p.Scalar(tr.KL)); math.Abs(got-kl) > 1e-5*kl {
				t.Errorf("kl %v, want %v", got, kl)
			}
			want := float64(c.PatchSize)*float64(p.Scalar(tr.Tokens.Loss)) + c.KLWeight*kl
			if got := p.Loss(); math.Abs(got-want) > 1e-5*want {
				t.Errorf("loss %v, want %v", got, want)
			}
		})
	}
}

// TestNoise: at sigma 0 the mean is decoded; at other sigmas it is z = mean + sigma*eps, which the test computes by
// itself.
func TestNoise(t *testing.T) {
	const patches = 6
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		m := tiny()
		ids := randomIDs(patches*4, m.Config.VocabSize)
		ev := m.Evaluation(patches, 0, .3, 2)
		p := e.Compile(ev.Graph, cpu.Inference)
		ev.Prepare(p)
		eps := make([]float32, patches*m.Config.LatentSize)
		rng := rand.New(rand.NewPCG(8, 9))
		for i := range eps {
			eps[i] = float32(rng.NormFloat64())
		}
		p.Feed(ev.Noise[0].Eps, eps)
		copy(p.Ints(ev.IDs), ids)
		run(t, p.Forward())
		for _, n := range ev.Noise {
			testkit.Compare(t, "loss under noise", p.Floats(n.Tokens.Loss), lossOf(t, e, m, ids, p.Floats(ev.Posterior.Mean), eps, n.Sigma), 1e-5)
		}
	})
}

// lossOf decodes mean + sigma*eps in a graph of its own.
func lossOf(t *testing.T, e *cpu.Engine, m *autoencoder.Model, ids []int32, mean, eps []float32, sigma float64) []float32 {
	t.Helper()
	g := nn.NewGraph()
	z := g.Floats("z", len(mean)/m.Config.LatentSize, m.Config.LatentSize)
	labels := g.Ints("labels", len(ids))
	ce := g.CrossEntropy(m.Decode(g, z), g.Param(m.Table()), labels)
	g.Output(ce.Loss)
	p := e.Compile(g, cpu.Inference)
	for i := range mean {
		p.Floats(z)[i] = mean[i] + float32(sigma)*eps[i]
	}
	copy(p.Ints(labels), ids)
	run(t, p.Forward())
	return append([]float32{}, p.Floats(ce.Loss)...)
}
