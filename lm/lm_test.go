package lm_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/config"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

// tiny returns a tiny model. Its weights are large, so that every part of it changes the result.
func tiny(change func(*lm.Config)) *lm.Model {
	c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
	c.InitializerRange, ae.InitializerRange = .2, .2
	if change != nil {
		change(&c)
	}
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(3)
	testkit.Perturb(m.Params, 4, .2)
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
	pairs := map[string]string{"lm-bytes": "ae-bytes", "lm-proto": "ae-proto", "quickstart": "quickstart", "quickstart-flow": "quickstart"}
	for name, c := range lm.Presets() {
		ae := autoencoder.Default()
		if own := pairs[name]; own != "" {
			ae = autoencoder.Presets()[own]
		}
		if err := c.ValidateWith(ae); err != nil {
			t.Errorf("preset %s: %v", name, err)
		}
	}
}

// TestSizes: trainable parameters as in docs/spec.md, section 6, and the frozen autoencoder's 75.8M.
func TestSizes(t *testing.T) {
	for name, want := range map[string]float64{"calm-m": 371.7, "calm-l": 735.3, "calm-xl": 1829.8} {
		m := lm.New(lm.Presets()[name], autoencoder.Default(), nn.NewParams())
		all, trainable := m.Params.Count()
		if got := float64(trainable) / 1e6; math.Abs(got-want) > .051 {
			t.Errorf("%s has %.2fM trainable parameters, want %.1fM", name, got, want)
		}
		if got := float64(all-trainable) / 1e6; math.Abs(got-75.8) > .051 {
			t.Errorf("%s has %.2fM frozen parameters, want 75.8M", name, got)
		}
	}
}

func TestConfigKeys(t *testing.T) {
	text, err := config.Encode(lm.Default())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range strings.Fields(`hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads
		rms_norm_eps rope_theta initializer_range max_position_embeddings vocab_size bos_token_id eos_token_id pad_token_id
		model_type ae_path patch_size latent_size num_mlp_layers num_samples beta noise_size
		token_loss_weight init_embeddings target_samples
		input token_loss_until mse_anchor head_learning_rate`) {
		if !strings.Contains(string(text), strconv.Quote(want)+": ") {
			t.Errorf("there is no key %s", want)
		}
	}
}

func TestValidateReportsEverything(t *testing.T) {
	c := lm.Default()
	c.NumAttentionHeads, c.NumKeyValueHeads, c.NumSamples, c.BOSTokenID = 12, 5, 0, -1
	c.Options = head.EnergyOptions{NumMLPLayers: 4, Beta: 3, NoiseSize: 64, TargetSamples: 100}
	c.PatchSize, c.InitEmbeddings, c.TokenLossWeight, c.ModelType = 2, "autoencoder", math.NaN(), "gan"
	c.Input, c.TokenLossUntil, c.MSEAnchor, c.HeadLearningRate = "ids", 0, .5, 0
	var e *config.Error
	if !errors.As(c.ValidateWith(autoencoder.Default()), &e) {
		t.Fatal("no *config.Error")
	}
	var keys []string
	for _, p := range e.Problems {
		keys = append(keys, p.Key)
	}
	want := "num_attention_heads num_key_value_heads model_type num_samples beta bos_token_id " +
		"input token_loss_weight token_loss_until head_learning_rate patch_size init_embeddings"
	if got := strings.Join(keys, " "); got != want {
		t.Errorf("problems with %q, want %q", got, want)
	}
}

func TestInitialValues(t *testing.T) {
	c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(1)
	d := c.HiddenSize
	table := m.Params.Get("transformer.embed_tokens.weight").Data
	for id := range c.VocabSize {
		zero := !slices.ContainsFunc(table[id*d:(id+1)*d], func(v float32) bool { return v != 0 })
		if zero != (id == c.PadTokenID) {
			t.Errorf("token %d starts at zero: %v", id, zero)
		}
	}
	last := m.Params.Get("mlp_generator.final_layer.linears.2.weight").Data
	if slices.ContainsFunc(last, func(v float32) bool { return v != 0 }) {
		t.Error("the head's last layer does not start at zero")
	}
	var square float64
	for _, v := range m.Params.Get("embed_proj.0.weight").Data {
		square += float64(v) * float64(v)
	}
	if std := math.Sqrt(square / float64(4*d*2*d)); math.Abs(std-.02) > .001 {
		t.Errorf("embed_proj.0.weight has standard deviation %v, want .02", std)
	}
	for _, name := range []string{"transformer.norm.weight", "embed_proj.3.weight"} {
		if slices.ContainsFunc(m.Params.Get(name).Data, func(v float32) bool { return v != 1 }) {
			t.Errorf("%s does not start at one", name)
		}
	}
}

func TestInitEmbeddings(t *testing.T) {
	c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
	ae.HiddenSize = c.HiddenSize
	c.InitEmbeddings = lm.FromAutoencoder
	if err := c.ValidateWith(ae); err != nil {
		t.Fatal(err)
	}
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(1)
	want := slices.Clone(m.Autoencoder.Table().Data)
	clear(want[c.PadTokenID*c.HiddenSize:][:c.HiddenSize])
	table := m.Params.Get("transformer.embed_tokens.weight")
	if !slices.Equal(table.Data, want) {
		t.Error("the embeddings are not the autoencoder's, but for the padding's")
	}
	trained := lm.New(c, ae, nn.NewParams())
	own := make([]float32, table.Size())
	if err := trained.Params.SetData(table.Name, table.Shape, own); err != nil {
		t.Fatal(err)
	}
	trained.Initialize(1)
	if slices.ContainsFunc(own, func(v float32) bool { return v != 0 }) {
		t.Error("Initialize overwrote embeddings that had values")
	}
}

// eachHead runs f as a subtest with each kind of head.
func eachHead(t *testing.T, f func(t *testing.T, kind string)) {
	for _, kind := range []string{head.EnergyType, head.DiffusionType, head.FlowType} {
		t.Run(kind, func(t *testing.T) { f(t, kind) })
	}
}

// TestGradients: by finite differences, with all of calm's own options on. Part of the diffusion head's loss is a
// constant in its gradient by definition, so finite differences do not equal the gradient: internal/gomlx and the
// golden cases check it.
func TestGradients(t *testing.T) {
	for _, input := range inputs {
		for _, kind := range []string{head.EnergyType, head.FlowType} {
			t.Run(input+"/"+kind, func(t *testing.T) { checkGradients(t, input, kind) })
		}
	}
}

func checkGradients(t *testing.T, input, kind string) {
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		m := tiny(func(c *lm.Config) {
			*c = testkit.Set(*c, "model_type="+kind, "input="+input, "token_loss_weight=.7")
			if k, _ := head.Lookup(kind); k.ScoresSamples {
				*c = testkit.Set(*c, "beta=1.2", "mse_anchor=.4")
			}
		})
		const rows, tokens = 2, 20
		tr := m.Training(rows, tokens)
		p := e.Compile(tr.Graph, cpu.Training)
		ids := randomIDs(rows*tokens, m.Config.VocabSize)
		labels := slices.Clone(ids)
		for i := 8; i < 12; i++ {
			labels[i] = lm.Ignored
		}
		if err := tr.Fill(p, ids, labels); err != nil {
			t.Fatal(err)
		}
		testkit.FiniteDifferences(t, p, m.Params)
	})
}

// TestPaddingIsNotLearned: the padding token's embedding gets no gradient though it is an input, and a target too.
func TestPaddingIsNotLearned(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	m := tiny(nil)
	tr := m.Training(1, 16)
	p := e.Compile(tr.Graph, cpu.Training)
	ids := randomIDs(16, 200)
	ids[2], ids[9] = int32(m.Config.PadTokenID), int32(m.Config.PadTokenID)
	if err := tr.Fill(p, ids, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Step(false); err != nil {
		t.Fatal(err)
	}
	d := m.Config.HiddenSize
	nonzero := func(id int32) bool {
		row := p.Grad(m.Params.Get("transformer.embed_tokens.weight"))[int(id)*d:][:d]
		return slices.ContainsFunc(row, func(v float32) bool { return v != 0 })
	}
	if nonzero(ids[2]) || !nonzero(ids[1]) {
		t.Errorf("gradients: of padding %v, of another token %v; want false, true", nonzero(ids[2]), nonzero(ids[1]))
	}
}

// TestTokenHeadsAreExtra: the auxiliary loss adds parameters and a term, and leaves the rest of the model as it is.
func TestTokenHeadsAreExtra(t *testing.T) {
	plain := tiny(nil)
	with := tiny(func(c *lm.Config) { c.TokenLossWeight = 2 })
	for _, p := range with.Params.All() {
		q := plain.Params.Get(p.Name)
		if (q == nil) != strings.HasPrefix(p.Name, lm.TokenHeadPrefix) {
			t.Errorf("%s: in the plain model: %v", p.Name, q != nil)
		}
		if q != nil && !slices.Equal(p.Data, q.Data) {
			t.Errorf("%s starts differently", p.Name)
		}
	}
	if c := with.Config.Inference(); c != plain.Config {
		t.Errorf("the configuration for inference is %+v, want %+v", c, plain.Config)
	}
}

// TestThreadsDoNotMatter: loss and gradients are the same to the last bit.
func TestThreadsDoNotMatter(t *testing.T) { eachHead(t, threadsDoNotMatter) }

func threadsDoNotMatter(t *testing.T, kind string) {
	m := tiny(func(c *lm.Config) { *c = testkit.Set(*c, "token_loss_weight=1", "model_type="+kind) })
	ids := randomIDs(4*64, m.Config.VocabSize)
	step := func(threads int) (float64, map[*nn.Param][]float32) {
		e := cpu.New(cpu.Options{Threads: threads})
		defer e.Close()
		tr := m.Training(4, 64)
		p := e.Compile(tr.Graph, cpu.Training)
		p.SetDraws(1, 2)
		if err := tr.Fill(p, ids, nil); err != nil {
			t.Fatal(err)
		}
		if err := p.Step(false); err != nil {
			t.Fatal(err)
		}
		gradients := map[*nn.Param][]float32{}
		for _, param := range m.Params.Trainable() {
			gradients[param] = slices.Clone(p.Grad(param))
		}
		return p.Loss(), gradients
	}
	loss, want := step(1)
	for _, threads := range []int{2, 3} {
		got, gradients := step(threads)
		if got != loss {
			t.Errorf("loss %v with %d threads, %v with 1", got, threads, loss)
		}
		for param := range want {
			if !slices.Equal(gradients[param], want[param]) {
				t.Errorf("the gradient of %s differs with %d threads", param.Name, threads)
			}
		}
	}
}
