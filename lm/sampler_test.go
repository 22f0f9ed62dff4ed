package lm_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/bfloat16"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// hiddenStates runs the model over whole rows: [B, L-1, D].
func hiddenStates(t *testing.T, e *cpu.Engine, m *lm.Model, ids []int32, rows int) []float32 {
	t.Helper()
	tr := m.Training(rows, len(ids)/rows)
	tr.Graph.Output(tr.Hidden)
	p := e.Compile(tr.Graph, cpu.Inference)
	if err := tr.Fill(p, ids, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	return p.Floats(tr.Hidden)
}

// patchesOf returns patches from..to of every row of ids [B, L, K].
func patchesOf(ids []int32, rows, k, from, to int) (out []int32) {
	for b := range rows {
		out = append(out, ids[b*len(ids)/rows:][from*k:to*k]...)
	}
	return out
}

func TestSampler(t *testing.T) { eachHead(t, testSampler) }

func testSampler(t *testing.T, kind string) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	m := sampling(t, kind)
	const rows, draws = 2, 40
	hidden := make([]float32, rows*m.Config.HiddenSize)
	for i := range hidden {
		hidden[i] = (float32(i%7) - 3) / 3
	}
	s := m.NewSampler(e, rows, draws)
	draw := func(seed, step uint64) []int32 {
		ids, err := s.Draw(hidden, seed, step)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(ids)
	}
	first := draw(1, 1)
	if len(first) != draws*rows*m.Config.PatchSize {
		t.Fatalf("%d ids, want %d", len(first), draws*rows*m.Config.PatchSize)
	}
	noise := make([]float32, draws*rows*s.NoiseSize())
	if _, err := s.DrawFrom(hidden, noise); err != nil {
		t.Fatal(err)
	}
	equal(t, "drawn again, after given noise", draw(1, 1), first)
	for _, other := range [][]int32{draw(2, 1), draw(1, 2)} {
		if slices.Equal(other, first) {
			t.Error("another seed or step gives the same draws")
		}
	}
	if _, err := s.DrawFrom(hidden, noise[1:]); err == nil {
		t.Error("no error for too little noise")
	}
	if _, err := s.Draw(hidden[1:], 1, 1); err == nil {
		t.Error("no error for hidden states of another size")
	}
}

// sampling returns a model whose draws do not diverge. A diffusion head must be trained for that: the one of a golden
// case is.
func sampling(t *testing.T, kind string) *lm.Model {
	switch kind {
	case head.DiffusionType:
		m := testkit.Golden(t, "diffusion_sampler")[0].LM(t)
		h := *m.Head.(*head.Diffusion)
		h.Options.SamplingSteps = 40
		m.Head = &h
		return m
	case head.FlowType:
		return tiny(func(c *lm.Config) { *c = testkit.Set(*c, "model_type="+kind, "sampling_steps=5") })
	}
	return tiny(nil)
}

// hiddenFor are hidden states of some rows for a model of sampling.
func hiddenFor(m *lm.Model, rows int) []float32 {
	return uniform(nn.NewGraph().Floats("", rows, m.Config.HiddenSize))
}

// TestDrawsDoNotDependOnEachOther: a draw of a stream gives the same patch, whether it is made alone or with other
// draws and rows.
func TestDrawsDoNotDependOnEachOther(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	eachHead(t, func(t *testing.T, kind string) {
		m := sampling(t, kind)
		hidden := hiddenFor(m, 1)
		stream := random.Stream{Seed: 3, Draw: 4, Step: 5}
		one, some := m.NewSampler(e, 1, 1), m.NewSampler(e, 1, 7)
		for _, first := range []int{0, 3, 70} {
			noise := make([]float32, 7*some.NoiseSize())
			some.FillNoise(noise, stream, first)
			got, err := some.DrawStream(hidden, stream, first)
			if err != nil {
				t.Fatal(err)
			}
			got = slices.Clone(got)
			for i := range 7 {
				own := make([]float32, one.NoiseSize())
				one.FillNoise(own, stream, first+i)
				if !slices.Equal(own, noise[i*len(own):][:len(own)]) {
					t.Errorf("the noise of draw %d depends on what is drawn with it", first+i)
				}
				want, err := one.DrawFrom(hidden, own)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "tokens", got[i*len(want):][:len(want)], want)
			}
		}
	})
}

// TestRowsDoNotDependOnEachOther: a row's draws are the same with any other rows in the batch, and for any grouping of
// the network's evaluations.
func TestRowsDoNotDependOnEachOther(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	eachHead(t, func(t *testing.T, kind string) {
		m := sampling(t, kind)
		const rows, draws = 60, 2 // conditions of some evaluations at a time, or of all
		d, k := m.Config.HiddenSize, m.Config.PatchSize
		many, one := m.NewSampler(e, rows, draws), m.NewSampler(e, 1, draws)
		size := many.NoiseSize()
		hidden := hiddenFor(m, rows)
		noise := make([]float32, draws*rows*size)
		many.FillNoise(noise, random.Stream{Seed: 1}, 0)
		tokens, err := many.DrawFrom(hidden, noise)
		if err != nil {
			t.Fatal(err)
		}
		for r := 0; r < rows; r += 17 {
			var own []float32
			var want []int32
			for n := range draws {
				own = append(own, noise[(n*rows+r)*size:][:size]...)
				want = append(want, tokens[(n*rows+r)*k:][:k]...)
			}
			got, err := one.DrawFrom(hidden[r*d:(r+1)*d], own)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "tokens", got, want)
		}
	})
}

// TestDiverging: a draw that diverges is an error, and the sampler can be used again.
func TestDiverging(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	eachHead(t, func(t *testing.T, kind string) {
		for _, bad := range []float32{1e6, float32(math.NaN()), float32(math.Inf(1))} {
			if bad == 1e6 && kind == head.EnergyType {
				continue // it accepts every finite number
			}
			m := sampling(t, kind)
			name := "generative_head.net.final_layer.linear.bias"
			if kind == head.EnergyType {
				name = "mlp_generator.final_layer.linears.2.bias"
			}
			s := m.NewSampler(e, 2, 3)
			hidden := hiddenFor(m, 2)
			bias := m.Params.Get(name).Data
			kept := bias[0]
			bias[0] = bad
			_, err := s.Draw(hidden, 1, 1)
			diverged, ok := errors.AsType[*head.DivergedError](err)
			if !ok || diverged.Head != kind {
				t.Errorf("%v in the weights: error %v", bad, err)
			}
			bias[0] = kept
			if _, err := s.Draw(hidden, 1, 1); err != nil {
				t.Errorf("after %v: %v", bad, err)
			}
		}
	})
}

// TestSomeDiverging: draws whose noise is NaN diverge, and the others do not change.
func TestSomeDiverging(t *testing.T) {
	e := cpu.New(cpu.Options{})
	defer e.Close()
	eachHead(t, func(t *testing.T, kind string) {
		const rows, draws = 2, 5
		m := sampling(t, kind)
		s, hidden := m.NewSampler(e, rows, draws), hiddenFor(m, rows)
		noise := make([]float32, draws*rows*s.NoiseSize())
		s.FillNoise(noise, random.Stream{Seed: 1}, 0)
		tokens, err := s.DrawFrom(hidden, noise)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Clone(tokens)
		k, bad := m.Config.PatchSize, []int{0, 3, 4, draws*rows - 1}
		for _, i := range bad {
			noise[i*s.NoiseSize()+1] = float32(math.NaN())
			for j := range k {
				want[i*k+j] = lm.Diverged
			}
		}
		got, err := s.DrawFrom(hidden, noise)
		diverged, ok := errors.AsType[*head.DivergedError](err)
		if !ok {
			t.Fatalf("error %v", err)
		}
		equal(t, "tokens", got, want)
		for i, d := range diverged.Draws {
			if d != slices.Contains(bad, i) {
				t.Errorf("draw %d diverged: %v", i, d)
			}
		}
		if !strings.Contains(err.Error(), "4 of 10 samples of the "+kind+" head") {
			t.Error(err)
		}
	})
}

// TestSamplerEqualsEvaluation: one noise gives the same tokens in the evaluation of whole rows, and step by step.
func TestSamplerEqualsEvaluation(t *testing.T) {
	const rows, patches, samples = 2, 5, 3
	e := cpu.New(cpu.Options{})
	defer e.Close()
	m := tiny(nil)
	k, size := m.Config.PatchSize, m.Head.NoiseSize()
	ids := randomIDs(rows*patches*k, m.Config.VocabSize)
	ev := m.Evaluation(rows, patches*k, samples)
	p := e.Compile(ev.Graph, cpu.Inference)
	if err := ev.Fill(p, ids, nil); err != nil {
		t.Fatal(err)
	}
	noise := uniform(ev.Head.Noise)
	p.Feed(ev.Head.Noise, noise)
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	tokens, positions := p.Ints(ev.Tokens), rows*(patches-1)
	session, sampler := m.NewSession(e, rows, patches), m.NewSampler(e, rows, samples)
	for i := range patches - 1 {
		if err := session.Append(patchesOf(ids, rows, k, i, i+1)); err != nil {
			t.Fatal(err)
		}
		var own []float32
		var want []int32
		for n := range samples {
			for b := range rows {
				at := n*positions + b*(patches-1) + i
				own = append(own, noise[at*size:][:size]...)
				want = append(want, tokens[at*k:][:k]...)
			}
		}
		got, err := sampler.DrawFrom(session.Hidden(), own)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "tokens", got, want)
	}
}

func uniform(t *nn.Tensor) []float32 {
	out := make([]float32, t.Size())
	for i, v := range randomIDs(len(out), 1<<20) {
		out[i] = float32(v)/(1<<20) - .5
	}
	return out
}

// TestBF16: contexts and draws of a model of bfloat16 are bit for bit those of the same numbers in float32.
func TestBF16(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
		half, full := tiny(nil), tiny(nil)
		half.Params.RoundToBF16()
		for _, p := range half.Params.All() {
			for i, v := range p.BF16 {
				full.Params.Get(p.Name).Data[i] = bfloat16.ToFloat32(v)
			}
		}
		ids := randomIDs(90*half.Config.PatchSize, half.Config.VocabSize)
		var hidden [2][]float32
		var tokens [2][]int32
		for i, m := range []*lm.Model{half, full} {
			s := m.NewSession(e, 1, 100)
			for _, n := range []int{89 * m.Config.PatchSize, len(ids)} { // a prompt, then a patch
				if err := s.Append(ids[s.Len()*m.Config.PatchSize : n]); err != nil {
					t.Fatal(err)
				}
				hidden[i] = append(hidden[i], s.Hidden()...)
			}
			for _, draws := range []int{1, 5} {
				drawn, err := m.NewSampler(e, 1, draws).Draw(s.Hidden(), 1, 2)
				if err != nil {
					t.Fatal(err)
				}
				tokens[i] = append(tokens[i], drawn...)
			}
		}
		testkit.Compare(t, "hidden", hidden[0], hidden[1], 0)
		testkit.CompareInts(t, "tokens", tokens[0], tokens[1])
	})
}
