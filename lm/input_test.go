package lm_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

var inputs = []string{lm.Tokens, lm.Latents, lm.Both}

// patchVectors runs the model's input alone: ids [B, L, K] give [B, L, D].
func patchVectors(t *testing.T, e *cpu.Engine, m *lm.Model, ids []int32, rows int) []float32 {
	t.Helper()
	g := nn.NewGraph()
	in := g.Ints("ids", rows, len(ids)/rows/m.Config.PatchSize, m.Config.PatchSize)
	x := m.Patches(g, in)
	g.Output(x)
	p := e.Compile(g, cpu.Inference)
	copy(p.Ints(in), ids)
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(p.Floats(x))
}

// TestInputs computes the input by its definition: a linear map of the mean that the autoencoder's own evaluation gives,
// the network over the tokens, or their sum, each with its own parameters and no others.
func TestInputs(t *testing.T) {
	const rows, patches = 2, 3
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		ids := randomIDs(rows*patches*4, 259)
		models := map[string]*lm.Model{}
		for _, input := range inputs {
			m := tiny(func(c *lm.Config) { c.Input = input })
			models[input] = m
			if has := m.Params.Get("latent_proj.weight") != nil; has != (input != lm.Tokens) {
				t.Errorf("%s: a map of latents: %t", input, has)
			}
			if has := m.Params.Get("transformer.embed_tokens.weight") != nil && m.Params.Get("embed_proj.3.bias") != nil; has != (input != lm.Latents) {
				t.Errorf("%s: token embeddings: %t", input, has)
			}
		}
		c := models[lm.Latents].Config
		w, b := models[lm.Latents].Params.Get("latent_proj.weight").Data, models[lm.Latents].Params.Get("latent_proj.bias").Data
		mean := posteriorMeans(t, e, models[lm.Latents], ids)
		var latent []float32
		for i := range rows * patches {
			for d := range c.HiddenSize {
				sum := float64(b[d])
				for z := range c.LatentSize {
					sum += float64(w[d*c.LatentSize+z]) * float64(mean[i*c.LatentSize+z])
				}
				latent = append(latent, float32(sum))
			}
		}
		testkit.Compare(t, "latents", patchVectors(t, e, models[lm.Latents], ids, rows), latent, 1e-5)
		sum := patchVectors(t, e, models[lm.Tokens], ids, rows)
		for i, v := range latent {
			sum[i] += v
		}
		testkit.Compare(t, "both", patchVectors(t, e, models[lm.Both], ids, rows), sum, 1e-5)
	})
}

func posteriorMeans(t *testing.T, e *cpu.Engine, m *lm.Model, ids []int32) []float32 {
	t.Helper()
	ev := m.Autoencoder.Evaluation(len(ids) / m.Config.PatchSize)
	p := e.Compile(ev.Graph, cpu.Inference)
	copy(p.Ints(ev.IDs), ids)
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	return p.Floats(ev.Posterior.Mean)
}

// TestInputEncoderIsFrozen: nothing is differentiated on the way from the ids to the latents, and no gradient kept.
func TestInputEncoderIsFrozen(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	m := tiny(func(c *lm.Config) { c.Input = lm.Both })
	tr := m.Training(2, 20)
	p := e.Compile(tr.Graph, cpu.Training)
	need, maps := tr.Graph.NeedsGrad(), 0
	for _, op := range tr.Graph.Ops() {
		frozen, trained := false, false
		for _, in := range op.Describe().In {
			if q := in.Param(); q != nil {
				frozen = frozen || q.Frozen
				trained = trained || !q.Frozen
			}
		}
		if l, ok := op.(*nn.Linear); ok && l.W.Param() == m.Params.Get("latent_proj.weight") {
			maps++
			if need[l.X.Root().ID()] || !need[l.Y.Root().ID()] {
				t.Error("a gradient flows through the map of latents to the encoder, or none to the map")
			}
		}
		for _, out := range op.Describe().Out {
			if frozen && !trained && need[out.Root().ID()] {
				t.Errorf("the output of a frozen %T has a gradient", op)
			}
		}
	}
	if maps != 1 {
		t.Errorf("%d maps of latents", maps)
	}
	for _, q := range m.Params.All() {
		if strings.HasPrefix(q.Name, lm.AEPrefix) && p.Grad(q) != nil {
			t.Errorf("%s has a gradient", q.Name)
		}
	}
}

// TestInputFromAutoencoder: with autoencoder, embeddings start as the autoencoder's, for each input that has
// embeddings.
func TestInputFromAutoencoder(t *testing.T) {
	for _, input := range inputs {
		c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
		c.Input, c.InitEmbeddings = input, lm.FromAutoencoder
		if input != lm.Latents { // without embeddings the sizes may differ
			ae.HiddenSize = c.HiddenSize
		}
		if err := c.ValidateWith(ae); err != nil {
			t.Fatal(err)
		}
		m := lm.New(c, ae, nn.NewParams())
		m.Initialize(1)
		table := m.Params.Get("transformer.embed_tokens.weight")
		if (table == nil) != (input == lm.Latents) {
			t.Errorf("%s: a table: %t", input, table != nil)
		}
		if table != nil && !slices.Equal(table.Data[:5], m.Autoencoder.Table().Data[:5]) {
			t.Errorf("%s: the embeddings are not the autoencoder's", input)
		}
	}
}

// TestHeadLearningRate: the multiplier applies to the parameters of the generative head, of each kind, and to no
// others.
func TestHeadLearningRate(t *testing.T) {
	for _, kind := range head.Names() {
		m := tiny(func(c *lm.Config) {
			*c = testkit.Set(*c, "model_type="+kind, "head_learning_rate=2.5", "token_loss_weight=1")
		})
		heads := 0
		for _, p := range m.Params.All() {
			want := 1.
			if strings.HasPrefix(p.Name, m.HeadKind.Prefix) {
				want = 2.5
				heads++
			}
			if p.Rate != want {
				t.Errorf("%s: %s has %g times the rate, want %g", kind, p.Name, p.Rate, want)
			}
		}
		if heads == 0 {
			t.Errorf("%s: %d parameters of the head", kind, heads)
		}
	}
}

// TestIgnoreLabels: without labels the token loss is 0, and all gradients are those of a model without it.
func TestIgnoreLabels(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		const rows, tokens = 2, 20
		plain, with := tiny(nil), tiny(func(c *lm.Config) { c.TokenLossWeight = 2 })
		ids := randomIDs(rows*tokens, plain.Config.VocabSize)
		var want map[string][]float32
		for _, m := range []*lm.Model{plain, with} {
			tr := m.Training(rows, tokens)
			p := e.Compile(tr.Graph, cpu.Training)
			if err := tr.Fill(p, ids, nil); err != nil {
				t.Fatal(err)
			}
			tr.IgnoreLabels(p)
			if err := p.Step(false); err != nil {
				t.Fatal(err)
			}
			got := map[string][]float32{}
			for _, q := range m.Params.Trainable() {
				got[q.Name] = p.Grad(q)
			}
			for i, ce := range tr.Tokens {
				if p.Scalar(ce.Loss) != 0 || p.Scalar(ce.Brier) != 0 {
					t.Errorf("head %d has a loss of %v", i, p.Scalar(ce.Loss))
				}
			}
			if want == nil {
				want = got
				continue
			}
			for name, g := range got {
				if w := want[name]; w != nil {
					equal(t, "gradient of "+name, g, w)
				} else if slices.ContainsFunc(g, func(v float32) bool { return v != 0 }) {
					t.Errorf("%s has a gradient", name)
				}
			}
		}
	})
}

// TestManySamples: a training step with 64 samples a position runs and, once compiled, allocates nothing.
func TestManySamples(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	m := tiny(func(c *lm.Config) { c.NumSamples = 64 })
	tr := m.Training(2, 20)
	p := e.Compile(tr.Graph, cpu.Training)
	if err := tr.Fill(p, randomIDs(2*20, m.Config.VocabSize), nil); err != nil {
		t.Fatal(err)
	}
	step := func() {
		if err := p.Step(false); err != nil {
			t.Fatal(err)
		}
	}
	step()
	testkit.FiniteDifferences(t, p, m.Params)
	if n := testing.AllocsPerRun(3, step); n != 0 {
		t.Errorf("a step allocates %v times", n)
	}
}
