package bench

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/eval"
	"github.com/calm-go/calm/eval/brier"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/run"
)

// tinyBrier returns settings that make a preset of a kind small, with a vocabulary of bytes.
func tinyBrier(kind run.Kind, patch string) []string {
	sets := slices.DeleteFunc(tinySets(kind), func(s string) bool { return strings.Contains(s, "vocab_size") || strings.Contains(s, "token_id") })
	if kind == run.LM {
		sets = append(sets, "patch_size="+patch)
	}
	return sets
}

func TestBrier(t *testing.T) {
	for _, c := range []struct {
		kind          run.Kind
		preset, patch string
		keys          string
	}{{run.LM, "lm-bytes", "1", " rollouts"}, {run.LM, "lm-bytes", "3", " rollouts"}, {run.AR, "ar-bytes", "1", ""}} {
		o, list := collect()
		err := Brier(t.Context(), BrierOptions{Options: o, Presets: []string{c.preset}, Set: tinyBrier(c.kind, c.patch), Blocks: 2, Tokens: 24})
		if err != nil || len(*list) != 1 {
			t.Fatalf("%s: %v, %d results", c.preset, err, len(*list))
		}
		r := (*list)[0]
		if r.Rollouts == 0 {
			c.keys = ""
		}
		wantKeys(t, r, "tokens_per_s loop_ms cached_loop_ms speedup over_cached_loop"+c.keys)
		if r.Name != "brier/"+c.preset || r.Shape != "K="+c.patch+", 2x24" {
			t.Errorf("%+v", r)
		}
		near(t, "speedup", r.Speedup, r.LoopMS/r.MSMedian)
		near(t, "over_cached_loop", r.OverCachedLoop, r.CachedLoopMS/r.MSMedian)
		near(t, "tokens_per_s", r.TokensPerS, 48/r.MSMedian*1e3)
		if c.kind == run.LM { // all samples of an untrained model are equal
			near(t, "rollouts", r.Rollouts, map[string]float64{"1": 3, "3": 1}[c.patch])
		}
	}
}

// TestBrierLoops checks that both loops and the evaluation measure the same: exactly where all samples are equal, otherwise within
// the confidence intervals.
func TestBrierLoops(t *testing.T) {
	const tokens = 24
	for name, c := range map[string]struct {
		kind      run.Kind
		patch     string
		different bool // whether samples differ
		blocks    int
	}{
		"alike, K=1": {run.LM, "1", false, 3}, "alike, K=2": {run.LM, "2", false, 3}, "alike, K=3": {run.LM, "3", false, 3},
		"K=1": {run.LM, "1", true, 40}, "K=2": {run.LM, "2", true, 40}, "ar": {run.AR, "1", true, 40},
	} {
		preset := map[run.Kind]string{run.LM: "lm-bytes", run.AR: "ar-bytes"}[c.kind]
		m, err := newModel(preset, c.kind, false, append(tinyBrier(c.kind, c.patch), "initializer_range=0.4", "block_size=24"))
		if err != nil {
			t.Fatal(err)
		}
		m.randomize()
		if c.kind == run.LM {
			writeLetters(m, c.different)
		}
		o := BrierOptions{Blocks: c.blocks, Tokens: tokens}
		eng := o.engine(2)
		defer eng.Close()
		blocks, err := o.text(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		together, err := evaluator(eng, m, blocks, eval.Options{Seed: 5, MaxBlocks: c.blocks})
		if err != nil {
			t.Fatal(err)
		}
		want, err := together(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, reread := range []bool{true, false} {
			got, err := newLoop(eng, m, tokens, reread).run(t.Context(), blocks, c.blocks)
			if err != nil {
				t.Fatal(err)
			}
			if got.Positions != want.Positions || got.Blocks != want.Blocks {
				t.Errorf("%s: %d positions in %d blocks, want %d in %d", name, got.Positions, got.Blocks, want.Positions, want.Blocks)
			}
			for j := range got.Brier {
				allowed := 1e-3
				if c.different {
					width := func(i brier.Interval) float64 { return (i.Hi - i.Lo) / 4 } // standard deviation, from the 95 % interval
					allowed += 4 * math.Hypot(width(got.BrierInterval[j]), width(want.BrierInterval[j]))
				}
				if d := math.Abs(got.Brier[j] - want.Brier[j]); !(d <= allowed) {
					t.Errorf("%s, reading again %t: Brier-%d %v, the evaluation's %v", name, reread, j+1, got.Brier[j], want.Brier[j])
				}
			}
		}
		if want.Brier[0] == -100 {
			t.Errorf("%s is never right: the test compares nothing", name)
		}
		if c.different && c.kind == run.LM && (want.rollouts[0] == 0 || want.rollouts[0] == want.Positions) {
			t.Errorf("%s: rollouts %v of %d: the test compares nothing", name, want.rollouts, want.Positions)
		}
	}
}

// writeLetters changes the weights of an untrained language model so that it writes a few letters and spaces, some of which are
// right. If different is false, all samples are equal.
func writeLetters(m *model, different bool) {
	for _, p := range m.Params.All() {
		if strings.HasPrefix(p.Name, "ae_model.decoder.") {
			for i := range p.Data {
				p.Data[i] *= 10
			}
		}
	}
	table := m.Params.Get("ae_model.encoder.embed_tokens.weight")
	d := table.Shape[1]
	clear(table.Data[:' '*d])
	clear(table.Data[(' '+1)*d : 'e'*d])
	clear(table.Data['h'*d:])
	testkit.Perturb(m.Params, 6, 1)
	if !different {
		clear(m.Params.Get("mlp_generator.final_layer.linears.2.weight").Data)
	}
}
