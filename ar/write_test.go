package ar_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/temperature"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/tokenizer"
)

func engine(t testing.TB, threads int) *cpu.Engine {
	e := cpu.New(cpu.Options{Threads: threads})
	t.Cleanup(e.Close)
	return e
}

func tinyAR() *ar.Model {
	c := testkit.TinyAR()
	c.InitializerRange = .3
	m := ar.New(c, nn.NewParams())
	m.Params.Initialize(3)
	return m
}

// fullLogits returns the logits of the token after a context, without a cache, in float64 from the last hidden state.
func fullLogits(t *testing.T, e *cpu.Engine, m *ar.Model, context []int32) []float64 {
	t.Helper()
	g := nn.NewGraph()
	in := g.Ints("ids", 1, len(context))
	hidden := m.Backbone.Forward(g, m.Tokens(g, in))
	g.Output(hidden)
	p := e.Compile(g, cpu.Inference)
	copy(p.Ints(in), context)
	if err := p.Forward(); err != nil {
		t.Fatal(err)
	}
	d, head := m.Config.HiddenSize, m.Params.Get("lm_head.weight").Data
	h, logits := p.Floats(hidden)[(len(context)-1)*d:], make([]float64, m.Config.VocabSize)
	for v := range logits {
		for i := range d {
			logits[v] += float64(h[i]) * float64(head[v*d+i])
		}
	}
	return logits
}

// TestARText: each token of a text is the one that its uniform number selects from softmax(logits/T) of the whole
// context.
func TestARText(t *testing.T) {
	e, m := engine(t, 2), tinyAR()
	for _, T := range []float64{1, .5, .2} {
		o := generate.Options{}
		o.Temperature, o.MaxTokens, o.Seed = T, 30, 5
		g := testkit.NewWriting(t, e, m, o)
		got, err := g.Write("Call me")
		if err != nil || len(got) < 5 {
			t.Fatalf("T = %v: %v, %v", T, got, err)
		}
		context := append([]int32{256}, tokenizer.Bytes().Encode("Call me")...)
		for step, id := range got {
			below, at, total := 0., 0., 0.
			for v, z := range fullLogits(t, e, m, context) {
				w := math.Exp(z / T)
				total += w
				if v < int(id) {
					below += w
				} else if v == int(id) {
					at = w
				}
			}
			if u := generate.Decisions(o.Seed, step)(); u < below/total-1e-5 || u > (below+at)/total+1e-5 {
				t.Fatalf("T = %v, token %d: %d has [%v, %v], drawn was %v", T, step, id, below/total, (below+at)/total, u)
			}
			context = append(context, id)
		}
		if r := g.Result; r.Draws != r.Patches || r.Patches < r.Tokens {
			t.Errorf("%+v", r)
		}
	}
}

// TestSlide: beyond its context the baseline attends to BOS and the newest half of it.
func TestSlide(t *testing.T) {
	e, m := engine(t, 2), tinyAR()
	const window = 9
	o := generate.Options{Temperature: generate.Greedy, MaxTokens: 40, Context: window}
	g := testkit.NewWriting(t, e, m, o)
	got, err := g.Write("Call me Ishmael.")
	if err != nil {
		t.Fatal(err)
	}
	context := append([]int32{256}, tokenizer.Bytes().Encode("shmael.")...) // and a token to write
	slides := 0
	for step, id := range got {
		if len(context) == window {
			context = append([]int32{256}, context[window-3:]...)
			slides++
		}
		logits := fullLogits(t, e, m, context)
		if peak := slices.Max(logits); logits[id] < peak-1e-5 {
			t.Fatalf("token %d is %d with the logit %v, the largest is %v", step, id, logits[id], peak)
		}
		context = append(context, id)
	}
	if r := g.Result; r.Slides != slides || slides < 2 || r.PromptTokens != 16 || r.PromptDropped != 9 {
		t.Errorf("%+v, want %d slides", r, slides)
	}
}

// TestARGreedy: at temperature 0 every token is the likeliest.
func TestARGreedy(t *testing.T) {
	e, m := engine(t, 1), tinyAR()
	g := testkit.NewWriting(t, e, m, generate.Options{Temperature: generate.Greedy, MaxTokens: 20})
	got, err := g.Write("Call me")
	if err != nil || len(got) == 0 {
		t.Fatal(got, err)
	}
	context := append([]int32{256}, tokenizer.Bytes().Encode("Call me")...)
	for step, id := range got {
		logits := fullLogits(t, e, m, context)
		if peak := slices.Max(logits); logits[id] < peak-1e-5 {
			t.Errorf("token %d is %d with the logit %v, the largest is %v", step, id, logits[id], peak)
		}
		context = append(context, id)
	}
}

// TestARSameText: the text does not depend on the number of threads, but on the seed.
func TestARSameText(t *testing.T) {
	m := tinyAR()
	o := generate.Options{}
	o.MaxTokens = 30
	var texts [][]int32
	for _, c := range []struct {
		threads int
		seed    uint64
	}{{1, 1}, {3, 1}, {1, 2}} {
		o.Seed = c.seed
		g := testkit.NewWriting(t, engine(t, c.threads), m, o)
		ids, err := g.Write("")
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, ids)
	}
	if !slices.Equal(texts[0], texts[1]) || slices.Equal(texts[0], texts[2]) {
		t.Errorf("%v", texts)
	}
}

// TestChoose: rounding never selects a token of weight 0.
func TestChoose(t *testing.T) {
	for _, c := range []struct {
		u    float64
		want int
	}{{0, 1}, {.999, 1}, {1, 3}, {2.999, 3}, {3, 3}, {4, 3}} {
		if got := ar.Choose([]float64{0, 1, 0, 2, 0}, c.u); got != c.want {
			t.Errorf("%v selects %d, want %d", c.u, got, c.want)
		}
	}
}

// TestBadOptions: temperatures out of range and options of other models are refused.
func TestBadOptions(t *testing.T) {
	e, m := engine(t, 1), tinyAR()
	for T, want := range map[float64]bool{0: true, -1: false, 1.01: false, math.Inf(1): false, .01: true, 1: true} {
		o := generate.Options{}
		o.Temperature = T
		err := testkit.NewWriting(t, e, m, o).Check(nil, o)
		if _, ok := errors.AsType[*temperature.RangeError](err); (err == nil) != want || ok == want {
			t.Errorf("T = %v: %v", T, err)
		}
	}
	for _, o := range []generate.Options{{Sampler: generate.Batch, Temperature: .5}, {Sampler: generate.Prefix}, {Sampler: generate.Exact}, {Draws: 2}} {
		err := testkit.NewWriting(t, e, m, o).Check(nil, o)
		if _, ok := errors.AsType[*generate.InputError](err); !ok {
			t.Errorf("the baseline takes %+v: %v", o, err)
		}
	}
}
