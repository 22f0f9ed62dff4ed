package flops_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/autoencoder"
	"github.com/calm-go/calm/backbone"
	"github.com/calm-go/calm/flops"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
)

// The formulas of docs/flops.md, in its letters, as multiply-adds of a position.

// layers is W: the linear maps of the backbone.
func layers(c backbone.Config) float64 {
	d, f := float64(c.HiddenSize), float64(c.IntermediateSize)
	keys := float64(c.HeadSize() * c.NumKeyValueHeads)
	return float64(c.NumHiddenLayers) * (2*d*d + 2*d*keys + 3*d*f)
}

// attention is what attending to that many positions takes.
func attention(c backbone.Config, positions float64) float64 {
	return 2 * float64(c.NumHiddenLayers*c.HiddenSize) * positions
}

// input is I: K embeddings to a vector.
func input(c lm.Config) float64 {
	d := float64(c.HiddenSize)
	return (2*float64(c.PatchSize) + 2) * d * d
}

// energy is the head: S of the position and E of each sample, the noise's part of which needs no gradient of its input.
func energy(c lm.Config) (shared, each, noise float64) {
	d, h := float64(c.HiddenSize), float64(c.NumMLPLayers)
	noise = float64(c.NoiseSize) * d
	return (1 + h) * d * d, noise + (5*h+1)*d*d + d*float64(c.LatentSize), noise
}

// coder is the encoder and the decoder, of a patch.
func coder(c autoencoder.Config) (encoder, decoder float64) {
	d, f, z, k := float64(c.HiddenSize), float64(c.IntermediateSize), float64(c.LatentSize), float64(c.PatchSize)
	half := func(n int) float64 { return float64(n/2) * 3 * d * f }
	squeeze := k * d * d
	encoder = (k+1)*half(c.NumEncoderLayers) + squeeze + 2*z*d
	decoder = (k+1)*half(c.NumDecoderLayers) + squeeze + z*d + k*d*float64(c.VocabSize)
	return encoder, decoder
}

// TestClosedFormulas: what is documented is what is counted, for every preset and for odd shapes.
func TestClosedFormulas(t *testing.T) {
	type pair struct {
		c  lm.Config
		ae autoencoder.Config
	}
	lms := map[string]pair{"tiny": {testkit.TinyLM(), testkit.TinyAutoencoder()}}
	for _, name := range []string{"calm-m", "calm-xl"} {
		lms[name] = pair{lm.Presets()[name], autoencoder.Default()}
	}
	for _, name := range []string{"proto", "bytes"} {
		lms[name] = pair{lm.Presets()["lm-"+name], autoencoder.Presets()["ae-"+name]}
	}
	odd := lms["tiny"]
	odd.ae.NumEncoderLayers, odd.ae.NumDecoderLayers, odd.ae.PatchSize = 5, 3, 3
	odd.c.PatchSize, odd.c.NumMLPLayers, odd.c.TokenLossWeight = 3, 3, 1
	lms["odd"] = odd
	for name, p := range lms {
		t.Run("lm/"+name, func(t *testing.T) { closedLM(t, p.c, p.ae) })
		t.Run("ae/"+name, func(t *testing.T) { closedAE(t, p.ae) })
	}
	ars := ar.Presets()
	ars["tiny"] = testkit.TinyAR()
	for name, c := range ars {
		t.Run("ar/"+name, func(t *testing.T) { closedAR(t, c) })
	}
}

func closedLM(t *testing.T, c lm.Config, ae autoencoder.Config) {
	m := lm.New(c, ae, nn.NewParams())
	const rows, patches = 2, 9
	k, p, l := float64(c.PatchSize), float64(rows*(patches-1)), float64(patches-1)
	shared, each, noise := energy(c)
	encoder, decoder := coder(ae)
	per := 6*(layers(c.Config)+input(c)+shared+float64(c.NumSamples)*each) - 2*float64(c.NumSamples)*noise + 2*encoder
	if c.TokenLossWeight > 0 {
		per += 6 * k * float64(c.VocabSize*c.HiddenSize)
	}
	g := m.Training(rows, patches*c.PatchSize).Graph
	near(t, "training", flops.Training(g), flops.Count{Products: p * per, Attention: 6 * p * attention(c.Config, (l+1)/2)})

	const context = 21
	want := []flops.Count{
		{Products: 2 * (layers(c.Config) + input(c)), Attention: 2 * attention(c.Config, context)},
		{Products: 2 * (shared + each)},
		{Products: 2 * decoder},
	}
	for i, part := range m.Generation(context) {
		near(t, part.Name, part.Count(), want[i])
	}
}

func closedAE(t *testing.T, c autoencoder.Config) {
	m := autoencoder.New(c, nn.NewParams(), "")
	encoder, decoder := coder(c)
	near(t, "training", flops.Training(m.Training(7).Graph), flops.Count{Products: 7 * 6 * (encoder + decoder)})
	for i, part := range m.RoundTrip() {
		near(t, part.Name, part.Count(), flops.Count{Products: 2 * []float64{encoder, decoder}[i]})
	}
}

func closedAR(t *testing.T, c ar.Config) {
	m := ar.New(c, nn.NewParams())
	const rows, tokens, context = 2, 9, 21
	head := float64(c.VocabSize * c.HiddenSize)
	near(t, "training", flops.Training(m.Training(rows, tokens).Graph),
		flops.Count{Products: rows * tokens * 6 * (layers(c.Config) + head), Attention: rows * tokens * 6 * attention(c.Config, (tokens+1)/2)})
	want := []flops.Count{{Products: 2 * layers(c.Config), Attention: 2 * attention(c.Config, context)}, {Products: 2 * head}}
	for i, part := range m.Generation(context) {
		near(t, part.Name, part.Count(), want[i])
	}
}

func near(t *testing.T, what string, got, want flops.Count) {
	t.Helper()
	off := func(a, b float64) bool { return math.Abs(a-b) > 1e-12*b }
	if off(got.Products, want.Products) || off(got.Attention, want.Attention) {
		t.Errorf("%s: counted %v, the formula says %v", what, got, want)
	}
}

// Budgets and contexts of the paper's experiments. The table's ratio of training to inference says that 2M are 2e6.
const (
	paperTokens   = 250e3 * 2e6
	paperAETokens = 30e3 * 512e3
	paperContext  = 2048 // positions, of a block of training and of a token written
)

// documentedUnshared is the training of the table where the head shares nothing among samples.
var documentedUnshared = map[string]float64{"calm-m": 3.78, "calm-l": 7.99, "calm-xl": 21.22}

// TestPaperTable compares with the paper's table 1 as docs/flops.md explains: attention counts the whole square, and
// training includes the autoencoder's. Each cell has what calm counts (to half a unit of its last digit), and how far
// from the paper's figure that is, in percent.
func TestPaperTable(t *testing.T) {
	ae := autoencoder.New(autoencoder.Default(), nn.NewParams(), "")
	const patches = 16
	aeTraining := flops.Training(ae.Training(patches).Graph).Total() / float64(patches*ae.Config.PatchSize) * paperAETokens
	check := func(cell string, got, calm, paper, off float64) {
		t.Helper()
		t.Logf("%-24s %6.3f, paper %5.1f (%+.1f %%)", cell, got, paper, 100*(got/paper-1))
		if math.Abs(got-calm) > .005 {
			t.Errorf("%s: %.4f, documented %.2f", cell, got, calm)
		}
		if d := 100 * math.Abs(got/paper-1); d > off {
			t.Errorf("%s: %.3f is %.2f %% from the paper's %g, documented %g %% at most", cell, got, d, paper, off)
		}
	}
	for _, c := range []struct {
		preset                         string
		training, paperTraining, offBy float64 // 1e20
		token, paperToken, tokenOffBy  float64 // 1e8
	}{
		{"ar-s", 6.64, 6.6, .6, 4.42, 4.4, .6},
		{"ar-m", 12.02, 11.9, 1.1, 8.02, 7.9, 1.5},
		{"ar-l", 22.52, 22.5, .1, 15.01, 15.0, .1},
		{"calm-m", 3.56, 3.7, 3.8, 2.91, 2.9, .2},
		{"calm-l", 7.50, 7.7, 2.7, 4.56, 4.6, .9},
		{"calm-xl", 19.85, 19.5, 1.9, 9.71, 9.4, 3.4},
	} {
		var step, unshared flops.Count
		var work []flops.Part
		tokens, of, extra := float64(paperContext), 1., 0.
		if config, ok := ar.Presets()[c.preset]; ok {
			m := ar.New(config, nn.NewParams())
			step, work = flops.Training(m.Training(1, paperContext).Graph), m.Generation(paperContext)
		} else {
			m := lm.New(lm.Presets()[c.preset], ae.Config, nn.NewParams())
			of = float64(m.Config.PatchSize)
			tokens *= of
			g := m.Training(1, paperContext*m.Config.PatchSize).Graph
			step, unshared, work = flops.Training(g), flops.Unshared(g), m.Generation(paperContext)
			extra = aeTraining
		}
		total := func(step flops.Count) float64 {
			step.Attention *= 2. * paperContext / (paperContext + 1) // the upper triangle too
			return (step.Total()/tokens*paperTokens + extra) / 1e20
		}
		check(c.preset+" training", total(step), c.training, c.paperTraining, c.offBy)
		if u, ok := documentedUnshared[c.preset]; ok {
			check(c.preset+" unshared", total(unshared), u, c.paperTraining, 9)
		}
		var token float64
		for _, part := range work {
			token += part.Count().Total() / of
		}
		check(c.preset+" a token", token/1e8, c.token, c.paperToken, c.tokenOffBy)
	}
	if got := fmt.Sprintf("%.3f", aeTraining/1e20); got != "0.066" {
		t.Errorf("the autoencoder's training takes %se20", got)
	}
}
