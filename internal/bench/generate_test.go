package bench

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/temperature"
	"github.com/calm-go/calm/run"
)

func TestGenerate(t *testing.T) {
	for _, c := range []struct {
		temperature float64
		sampler     generate.Sampler
		shape       string
		draws       float64
		tokens      [2]float64 // of a draw, at least and at most
	}{{1, "", "T=1, after 12 tokens", 1, [2]float64{4, 4}}, {.5, "", "T=0.5 prefix, after 12 tokens", 64, [2]float64{1.3, 2.3}},
		{0, "", "T=0 prefix, after 12 tokens", 64, [2]float64{1.3, 2.5}}, {.5, generate.Batch, "T=0.5 batch, after 12 tokens", 200, [2]float64{3, 3.95}},
		// Draws are made many at a time, so the last ones may not be looked at: on a slow machine only one patch is measured.
		{.7, generate.Exact, "T=0.7 exact, after 12 tokens", 0, [2]float64{.5, 3}}} {
		o, list := collect()
		o.Seconds = .05 // long enough for contexts to be full
		err := Generate(t.Context(), GenerateOptions{Options: o, Presets: []string{"lm-bytes"}, Set: tinySets(run.LM), Prompt: 10,
			Temperature: c.temperature, Sampler: c.sampler})
		if err != nil || len(*list) != 2 {
			t.Fatalf("T=%g: %v, %d results", c.temperature, err, len(*list))
		}
		prefill, decode := (*list)[0], (*list)[1]
		wantKeys(t, prefill, "flops gflops peak_gflops fraction_of_peak tokens_per_s")
		if decode.PeakRSSMB == 0 {
			decode.PeakRSSMB = 1 // memory of a test process may come to less than what is subtracted
		}
		wantKeys(t, decode, "tokens_per_s bytes_per_step gb_per_s peak_gb_per_s peak_rss_mb draws tokens_per_draw backbone_ms head_ms decoder_patch_ms decoder_token_ms")
		if c.draws > 0 && decode.Draws != c.draws || decode.TokensPerDraw < c.tokens[0] || decode.TokensPerDraw > c.tokens[1] {
			t.Errorf("%s: %v draws a patch, %v tokens decoded of each", c.shape, decode.Draws, decode.TokensPerDraw)
		}
		if prefill.Name != "generate/prefill/lm-bytes" || decode.Name != "generate/decode/lm-bytes" || decode.Shape != c.shape {
			t.Errorf("%+v\n%+v", prefill, decode)
		}
	}
}

// TestGenerateDType: weights of bfloat16 are half the bytes, those of int8 a quarter, and opening a run of random weights is measured.
func TestGenerateDType(t *testing.T) {
	var bytes []float64
	for _, d := range []string{"float32", "bfloat16", "int8"} {
		o, list := collect()
		err := Generate(t.Context(), GenerateOptions{Options: o, Presets: []string{"lm-bytes"}, Prompt: 10, Temperature: 1, Load: true,
			Set: append(tinySets(run.LM), "vocab_size=300", "bos_token_id=297", "eos_token_id=298", "pad_token_id=299", "dtype="+d)})
		if err != nil || len(*list) != 4 {
			t.Fatalf("%s: %v, %v", d, err, *list)
		}
		open, first, decode := (*list)[0], (*list)[1], (*list)[3]
		if open.Name != "generate/open/lm-bytes" || first.Name != "generate/first/lm-bytes" || open.Shape != d || first.MSMedian <= open.MSMedian {
			t.Errorf("%s: %+v\n%+v", d, open, first)
		}
		bytes = append(bytes, decode.BytesPerStep)
	}
	if r := bytes[1] / bytes[0]; r < .5 || r > .55 { // norms and biases stay
		t.Errorf("a step reads %v bytes of the two formats", bytes)
	}
	if r := bytes[2] / bytes[0]; r < .25 || r > .36 { // so do embeddings that are looked up, and rows of a few numbers have a scale
		t.Errorf("a step reads %v bytes of the three formats", bytes)
	}
}

// TestGenerateHeads: a line for each head and number of steps, and the weights of each evaluation count.
func TestGenerateHeads(t *testing.T) {
	o, list := collect()
	sets := slices.DeleteFunc(tinySets(run.LM), func(s string) bool { return strings.HasPrefix(s, "target_samples=") }) // energy alone has it
	err := Generate(t.Context(), GenerateOptions{Options: o, Presets: []string{"lm-bytes"}, Set: sets, Prompt: 10,
		Temperature: 1, Heads: []string{"energy", "diffusion", "flow"}, Steps: []int{2, 3, 5}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	bytes := map[string]float64{}
	for _, r := range *list {
		name := strings.TrimPrefix(r.Name, "generate/")
		names = append(names, name)
		bytes[name] = r.BytesPerStep
	}
	const d = "decode/lm-bytes/"
	want := []string{"prefill/lm-bytes", "decode/lm-bytes", d + "diffusion-2", d + "diffusion-3", d + "diffusion-5", d + "flow-2", d + "flow-3", d + "flow-5"}
	if !slices.Equal(names, want) {
		t.Fatalf("measured %v, want %v", names, want)
	}
	// Of the network a step reads the projection of x [16, 8], a block of two [16, 16] and its norm, and the end [out, 16].
	step := func(out float64) float64 { return 4 * (16*8 + 16 + 2*(16*16+16) + 2*16 + 16*out + out) }
	near(t, "a step of diffusion", bytes[d+"diffusion-5"]-bytes[d+"diffusion-3"], 2*step(16))
	near(t, "a step of flow", bytes[d+"flow-5"]-bytes[d+"flow-3"], 2*2*step(8))
}

// TestTypical: draws agree as often as they should, whichever are asked for, and others in another step.
func TestTypical(t *testing.T) {
	const n = 4000
	tokens := make([]int32, n)
	draws := make([]int, n)
	for i := range draws {
		draws[i] = i
	}
	d := &typical{Draws: &temperature.Patches{K: 2, IDs: make([]int32, 2*n)}, step: 3}
	var before []int32
	for k := range 2 {
		if err := d.Tokens(tokens, draws, k); err != nil {
			t.Fatal(err)
		}
		counts, pairs := map[int32]float64{}, 0.
		for _, v := range tokens {
			pairs += counts[v]
			counts[v]++
		}
		if got := pairs / (n * (n - 1) / 2); math.Abs(got-agreement) > .02 {
			t.Errorf("token %d: two draws agree with probability %v, want %v", k, got, agreement)
		}
		one := make([]int32, 1)
		if err := d.Tokens(one, []int{n - 7}, k); err != nil || one[0] != tokens[n-7] {
			t.Errorf("token %d of a draw is %d alone, %d beside others (%v)", k, one[0], tokens[n-7], err)
		}
		if slices.Equal(tokens, before) {
			t.Error("both places have the same tokens")
		}
		before = slices.Clone(tokens)
	}
	d.step++
	if err := d.Tokens(tokens, draws, 1); err != nil || slices.Equal(tokens, before) {
		t.Errorf("another step has the same tokens (%v)", err)
	}
}
