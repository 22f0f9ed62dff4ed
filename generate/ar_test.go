package generate

import (
	"math"
	"slices"
	"testing"

	"github.com/calm-go/calm/ar"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
)

func tinyAR() *ar.Model {
	c := testkit.TinyAR()
	c.InitializerRange = .3
	m := ar.New(c, nn.NewParams())
	m.Params.Initialize(3)
	return m
}

// fullLogits returns the logits of the token behind a context, without a cache, in float64 from the last hidden state.
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

func baseline(t testing.TB, e *cpu.Engine, m *ar.Model, o Options) *writing {
	t.Helper()
	g, err := NewAR(e, m, byteTok)
	if err != nil {
		t.Fatal(err)
	}
	return &writing{Generator: g, options: o}
}

// Each token of a text is the one that its uniform number selects from softmax(logits/T) of the whole context.
func TestARText(t *testing.T) {
	e, m := engine(t, 2), tinyAR()
	for _, T := range []float64{1, .5, .2} {
		o := Options{}
		o.Temperature, o.MaxTokens, o.Seed = T, 30, 5
		g := baseline(t, e, m, o)
		_, got, _, err := collect(g, "Call me")
		if err != nil || len(got) < 5 {
			t.Fatalf("T = %v: %v, %v", T, got, err)
		}
		context := append([]int32{256}, byteTok.Encode("Call me")...)
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
			if u := decisions(o.Seed, step)(); u < below/total-1e-5 || u > (below+at)/total+1e-5 {
				t.Fatalf("T = %v, token %d: %d has [%v, %v], drawn was %v", T, step, id, below/total, (below+at)/total, u)
			}
			context = append(context, id)
		}
		if r := g.result; r.Draws != r.Patches || r.Patches < r.Tokens {
			t.Errorf("%+v", r)
		}
	}
}

// Thread counts do not matter, seeds do.
func TestARSameText(t *testing.T) {
	m := tinyAR()
	o := Options{}
	o.MaxTokens = 30
	var texts [][]int32
	for _, c := range []struct {
		threads int
		seed    uint64
	}{{1, 1}, {3, 1}, {1, 2}} {
		o.Seed = c.seed
		g := baseline(t, engine(t, c.threads), m, o)
		_, ids, _, err := collect(g, "")
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, ids)
	}
	if !slices.Equal(texts[0], texts[1]) || slices.Equal(texts[0], texts[2]) {
		t.Errorf("%v", texts)
	}
}

// Rounding never selects a token of no weight.
func TestChoose(t *testing.T) {
	for _, c := range []struct {
		u    float64
		want int
	}{{0, 1}, {.999, 1}, {1, 3}, {2.999, 3}, {3, 3}, {4, 3}} {
		if got := choose([]float64{0, 1, 0, 2, 0}, c.u); got != c.want {
			t.Errorf("%v selects %d, want %d", c.u, got, c.want)
		}
	}
}
