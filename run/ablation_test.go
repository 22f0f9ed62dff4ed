package run_test

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/run"
)

// readAndWrite opens a trained language model, measures it and writes three patches with it.
func readAndWrite(t *testing.T, dir string) {
	t.Helper()
	eng := engine(t, 2)
	m, err := run.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	k := m.Layout().PatchSize
	r, err := m.Evaluate(t.Context(), eng, run.Evaluation{Options: eval.Options{MaxBlocks: 2}})
	if l, ok := r.Measured.(lm.Measurement); err != nil || !ok || math.IsNaN(l.Head[0].Value) || l.Positions == 0 {
		t.Fatalf("evaluation: %+v, %v", l, err)
	}
	g, err := generate.New(eng, m.Network.(generate.Model), m.Tokenizer, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	prompt, err := g.Encode("whale")
	if err != nil {
		t.Fatal(err)
	}
	text, err := g.Text(prompt, generate.Options{MaxTokens: 3 * k, Seed: 5, Tail: slices.Repeat([]int32{32}, 8)})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range text.Chunks(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if tokens := text.Result().Tokens; tokens > 3*k {
		t.Errorf("%d tokens written, want at most %d", tokens, 3*k)
	}
}

// TestPatchSizes trains, measures and writes with patches of 1 to 8 tokens: an autoencoder, and a language model on it with
// token heads and with tokens and latents as input.
func TestPatchSizes(t *testing.T) {
	text := tinyText(t)
	for k := 1; k <= 8; k++ {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			with := func(sets []string, more ...string) []string {
				return append(slices.Clone(sets), append(more, fmt.Sprintf("block_size=%d", 5*k))...)
			}
			ae := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "ae"), Data: []string{text}, Steps: 3,
				Set: with(tinyAE, fmt.Sprintf("patch_size=%d", k))}
			trainTo(t, 1, 0, ae)
			lm := run.Options{Kind: run.LM, Out: filepath.Join(t.TempDir(), "lm"), Data: []string{text}, Steps: 3, AE: ae.Out,
				Set: with(tinyLM, "input=both")}
			if out := trainTo(t, 1, 0, lm); len(out.Measured) < 2+k {
				t.Errorf("measured %v, want a metric of every token head", out.Measured)
			}
			readAndWrite(t, lm.Out)
		})
	}
}

// TestAblations trains three steps with each single part of the recipe removed or changed. The Trainer returns an error if a
// loss or a gradient is not finite.
func TestAblations(t *testing.T) {
	text := tinyText(t)
	last := ""
	for _, set := range []string{"kl_weight=0", "kl_clamp=0", "token_dropout=0", "latent_dropout=0", "ae_dropout=0", "latent_size=1",
		"latent_size=33", "num_encoder_layers=0", "num_decoder_layers=4", "num_encoder_layers=3"} {
		o := run.Options{Kind: run.AE, Out: filepath.Join(t.TempDir(), "ae"), Data: []string{text}, Steps: 3, Set: append(slices.Clone(tinyAE), set)}
		if out := trainTo(t, 1, 0, o); !out.Finished || out.Steps != 3 {
			t.Errorf("%s: %+v", set, out)
		}
		last = o.Out
	}
	for _, sets := range []string{"input=latents", "input=both init_embeddings=autoencoder", "input=latents init_embeddings=autoencoder",
		"beta=0.25", "beta=0.75", "beta=2", "num_samples=64", "target_samples=1", "target_samples=200", "num_mlp_layers=3", "num_hidden_layers=3",
		"mse_anchor=0.5", "head_learning_rate=3", "token_loss_weight=2 token_loss_until=0.5",
		"model_type=flow input=both token_loss_until=0.5 head_learning_rate=2", "model_type=diffusion input=latents token_loss_until=0.5"} {
		sizes := tinyLM
		if strings.Contains(sets, "model_type") {
			sizes = tinyLanguage
		}
		o := run.Options{Kind: run.LM, Out: filepath.Join(t.TempDir(), "lm"), Data: []string{text}, Steps: 3, AE: last,
			Set: append(slices.Clone(sizes), strings.Fields(sets)...)}
		if out := trainTo(t, 1, 0, o); !out.Finished || out.Steps != 3 {
			t.Errorf("%s: %+v", sets, out)
		}
		if !strings.Contains(sets, "diffusion") { // an untrained diffusion sampler diverges
			readAndWrite(t, o.Out)
		}
	}
}
