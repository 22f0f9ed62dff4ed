package lm_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
	"github.com/calm-go/calm/tokenizer"
)

// byteTok is the tokenizer of the tiny models.
var byteTok = tokenizer.Bytes()

func engine(t testing.TB, threads int) *cpu.Engine {
	e := cpu.New(cpu.Options{Threads: threads})
	t.Cleanup(e.Close)
	return e
}

// tinyLM is a model whose samples differ: a fresh head's last layer is zero. noise scales what they differ by.
func tinyLM(patch int, noise float32) *lm.Model {
	c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
	c.PatchSize, ae.PatchSize = patch, patch
	c.InitializerRange, ae.InitializerRange = .3, .3
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(3)
	testkit.Perturb(m.Params, 5, .3)
	w := m.Params.Get("mlp_generator.norm_noise.weight").Data
	for i := range w {
		w[i] *= noise
	}
	return m
}

// resized is a model that makes other numbers of draws at once.
type resized struct{ *lm.Model }

func (r resized) NewSource(e *cpu.Engine) generate.Source {
	return otherSizes{r.Model.NewSource(e)}
}

type otherSizes struct{ generate.Source }

func (s otherSizes) Begin(slot int, o generate.Options) {
	s.Source.Begin(slot, o)
	lm.SetSizes(s.Source, slot, 3, 7)
}

// oracle writes patches, from number first of a text on, with a forward pass over the whole context each, no cache, and
// one draw.
func oracle(t *testing.T, e *cpu.Engine, m *lm.Model, context []int32, first, patches int, seed uint64) (out []int32) {
	t.Helper()
	k, d, s := m.Config.PatchSize, m.Config.HiddenSize, m.Head.NoiseSize()
	sampler := m.NewSampler(e, 1, 1)
	for i := range patches {
		g := nn.NewGraph()
		in := g.Ints("ids", 1, len(context)/k, k)
		hidden := m.Backbone.Forward(g, m.Patches(g, in))
		g.Output(hidden)
		p := e.Compile(g, cpu.Inference)
		copy(p.Ints(in), context)
		if err := p.Forward(); err != nil {
			t.Fatal(err)
		}
		noise := make([]float32, s)
		random.Uniform(noise, generate.Noise(seed, first+i), 0, -.5, .5)
		patch, err := sampler.DrawFrom(p.Floats(hidden)[len(context)/k*d-d:], noise)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, patch...)
		context = append(context, patch...)
	}
	return out
}

// At T = 1 a prompt of any length gives what full forward passes give on a context laid out by hand.
func TestPromptOfEveryLength(t *testing.T) {
	e, text := engine(t, 2), "Call me Ishmael."
	for _, k := range []int{1, 3, 4} {
		m := tinyLM(k, 3)
		o := generate.Options{}
		o.Seed, o.Tail, o.MaxTokens = 11, byteTok.Encode("stood here."), 5*k
		g := testkit.NewWriting(t, e, m, o)
		for n := range len(text) {
			context := append([]int32{256}, byteTok.Encode(text[:n])...)
			for at := len(o.Tail); len(context)%k != 0; at-- {
				context = slices.Insert(context, 0, o.Tail[at-1])
			}
			want := oracle(t, e, m, context, 0, 5, o.Seed)
			if end := slices.IndexFunc(want, func(id int32) bool { return id == 256 || id == 257 }); end >= 0 {
				want = want[:end]
			}
			got, err := g.Write(text[:n])
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("K = %d, %q: %v, %v; want %v", k, text[:n], got, err, want)
			}
		}
	}
}

// long is a tinyLM for contexts of more patches than are read at once.
func long(patch int) *lm.Model {
	c, ae := testkit.TinyLM(), testkit.TinyAutoencoder()
	c.PatchSize, ae.PatchSize, c.MaxPositionEmbeddings = patch, patch, 1000
	c.InitializerRange, ae.InitializerRange = .3, .3
	m := lm.New(c, ae, nn.NewParams())
	m.Initialize(3)
	testkit.Perturb(m.Params, 5, .3)
	return m
}

// TestLongPrompt: a long prompt is read in chunks and gives the same.
func TestLongPrompt(t *testing.T) {
	e, m := engine(t, 2), long(2)
	o := generate.Options{MaxTokens: 6}
	prompt := strings.Repeat("Whenever I find myself ", 33) // 759 bytes: more patches than are read at once
	want := oracle(t, e, m, append([]int32{256}, byteTok.Encode(prompt)...), 0, 3, o.Seed)
	if got, err := testkit.NewWriting(t, e, m, o).Write(prompt); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

// TestSlide: a text beyond its context is, patch by patch, what full forward passes give on the kept ids, whatever the
// number of threads.
func TestSlide(t *testing.T) {
	e := engine(t, 2)
	for _, c := range []struct{ patch, window, prompt int }{{4, 6, 7}, {4, 7, 60}, {3, 2, 5}, {2, 64, 300}, {1, 5, 0}} {
		m := tinyLM(c.patch, 3)
		o := generate.Options{Context: c.window*c.patch + c.patch - 1, MaxTokens: 5 * c.window / 2 * c.patch, Seed: 11}
		if o.Context = min(o.Context, 64*c.patch); c.window == 64 {
			o.MaxTokens = 70
		}
		prompt := strings.Repeat("Call me Ishmael. ", 20)[:c.prompt]
		read := byteTok.Encode(prompt)
		read = read[max(0, len(read)-((c.window-1)*c.patch-1)):]
		context := append([]int32{256}, read...)
		for len(context)%c.patch != 0 {
			context = slices.Insert(context, 0, '\n')
		}
		var want []int32
		slides := 0
		for len(want) < o.MaxTokens {
			if len(context) == c.window*c.patch {
				context = append([]int32{256}, context[len(context)-(c.window/2*c.patch-1):]...)
				slides++
			}
			patch := oracle(t, e, m, context, len(want)/c.patch, 1, o.Seed)
			context, want = append(context, patch...), append(want, patch...)
		}
		want = want[:o.MaxTokens]
		if end := slices.IndexFunc(want, func(id int32) bool { return id == 256 || id == 257 }); end >= 0 {
			t.Fatalf("%+v: the text ends after %d tokens of %d: another seed is needed", c, end, len(want))
		}
		for _, threads := range []int{1, 2, 3} {
			w := testkit.NewWriting(t, engine(t, threads), m, o)
			for range 2 {
				got, err := w.Write(prompt)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%+v, %d threads: %v, %v; want %v", c, threads, got, err, want)
				}
				if r := w.Result; r.Slides != slides || slides == 0 || r.PromptTokens != c.prompt || r.PromptDropped != c.prompt-len(read) || r.Stop != generate.StopMaxTokens {
					t.Errorf("%+v: %+v, want %d slides", c, r, slides)
				}
			}
		}
	}
}

// The text follows from the options alone.
func TestSameText(t *testing.T) {
	m := tinyLM(4, .5)
	for _, c := range []struct {
		T       float64
		sampler generate.Sampler
	}{{1, generate.Exact}, {.7, generate.Exact}, {.5, generate.Exact}, {.5, generate.Batch}, {.7, generate.Batch}, {1, generate.Batch},
		{1, ""}, {.7, ""}, {1. / 3, generate.Prefix}, {generate.Greedy, generate.Prefix}, {generate.Greedy, generate.Batch}} {
		o := generate.Options{}
		o.Temperature, o.Sampler, o.MaxTokens, o.Seed = c.T, c.sampler, 40, 4
		one := testkit.NewWriting(t, engine(t, 1), m, o)
		want, err := one.Write("abc")
		if err != nil || len(want) == 0 {
			t.Fatalf("T = %v, %s: %v, %v", c.T, c.sampler, want, err)
		}
		draws := one.Result.Draws
		if _, err := one.Write("something else"); err != nil {
			t.Fatal(err)
		}
		sized := testkit.NewWriting(t, engine(t, 1), resized{m}, o)
		o.Seed++
		other := testkit.NewWriting(t, engine(t, 1), m, o)
		o.Seed--
		for name, g := range map[string]*testkit.Writing{"again": one, "three threads": testkit.NewWriting(t, engine(t, 3), m, o), "other sizes": sized} {
			if got, err := g.Write("abc"); err != nil || !slices.Equal(got, want) || g.Result.Draws != draws {
				t.Errorf("T = %v, %s, %s: %v with %d draws, %v; want %v with %d", c.T, c.sampler, name, got, g.Result.Draws, err, want, draws)
			}
		}
		if got, _ := other.Write("abc"); slices.Equal(got, want) {
			t.Errorf("T = %v, %s: another seed gives the same", c.T, c.sampler)
		}
	}
}

// At T = 1/2 a patch comes with the square of its probability, whichever sampler.
func TestTemperature(t *testing.T) {
	e, m := engine(t, 2), tinyLM(1, .2)
	o := generate.Options{}
	o.Temperature = .5
	prompt := []int32{256, 'a', 'b', 'c'}
	session, sampler := m.NewSession(e, 1, 4), m.NewSampler(e, 1, 500)
	if err := session.Append(prompt); err != nil {
		t.Fatal(err)
	}
	probability, want := map[int32]float64{}, map[int32]float64{}
	for step := range uint64(100) {
		drawn, err := sampler.Draw(session.Hidden(), 77, step)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range drawn {
			probability[id] += 1. / float64(100*len(drawn))
		}
	}
	total := 0.
	for _, p := range probability {
		total += p * p
	}
	for x, p := range probability {
		want[x] = p * p / total
	}
	if d := distance(want, probability); d < .1 {
		t.Fatalf("%d different patches, squares differ from probabilities by %v: the test shows nothing", len(want), d)
	}
	for kind, n := range map[generate.Sampler]int{generate.Exact: 3000, generate.Batch: 1500, generate.Prefix: 1500} {
		o.Sampler, o.Draws = kind, 0
		if kind == generate.Prefix {
			o.Draws = 200 // for a bias as small as that of the others
		}
		s := m.NewSource(e)
		s.Begin(0, o)
		read(t, s, prompt...)
		got := map[int32]float64{}
		for step := range n {
			patch := writePatch(t, s, 1, step)
			got[patch.IDs[0]] += 1 / float64(n)
		}
		s.End(0)
		if d := distance(want, got); d > .04 {
			t.Errorf("%s: total variation %.3f to the squares of %d probabilities", kind, d, len(want))
		}
	}
}

// TestStoppedPatch: a patch that is not wanted any more ends between runs of the head, however many draws a sampler asks for at
// once.
func TestStoppedPatch(t *testing.T) {
	m := tinyLM(1, 5)
	s := m.NewSource(engine(t, 1))
	s.Begin(0, generate.Options{Temperature: .5, Draws: 20_000})
	defer s.End(0)
	read(t, s, 'a')
	var stopped atomic.Bool
	p := &generate.Patch{IDs: make([]int32, 1), Stopped: &stopped}
	s.Write([]*generate.Patch{p})
	if p.Done {
		t.Error("it made 20,000 draws without a look at the other texts")
	}
	stopped.Store(true)
	s.Write([]*generate.Patch{p})
	if !p.Done || !errors.Is(p.Err, context.Canceled) {
		t.Errorf("%+v", p)
	}
}

// distance is the total variation between two distributions.
func distance(a, b map[int32]float64) (d float64) {
	for x, p := range a {
		d += max(0, p-b[x])
	}
	return d
}

// A real sampler over its budget.
func TestBudgetOfModel(t *testing.T) {
	o := generate.Options{}
	o.Temperature, o.Sampler, o.Draws = .05, generate.Exact, 50
	_, err := testkit.NewWriting(t, engine(t, 1), tinyLM(4, 5), o).Write("abc")
	if b, ok := errors.AsType[*generate.BudgetError](err); !ok || b.Draws != 50 || b.T != .05 || b.Patch < 1 {
		t.Errorf("%v", err)
	}
}

func TestBadOptions(t *testing.T) {
	e, m := engine(t, 1), tinyLM(4, 1)
	for _, c := range []struct {
		name, want string
		change     func(o *generate.Options)
	}{
		{"below zero", "must be in [0, 1]", func(o *generate.Options) { o.Temperature = -.5 }},
		{"above one", "[0, 1]", func(o *generate.Options) { o.Temperature = 1.2 }},
		{"NaN", "[0, 1]", func(o *generate.Options) { o.Temperature = math.NaN() }},
		{"exact above one", "(0, 1]", func(o *generate.Options) { o.Temperature, o.Sampler = 1.2, generate.Exact }},
		{"exact at 0", "temperature 0: the exact sampler needs more than 0", func(o *generate.Options) { o.Temperature, o.Sampler = generate.Greedy, generate.Exact }},
		{"batch at 1.5", "[0, 1]", func(o *generate.Options) { o.Temperature, o.Sampler = 1.5, generate.Batch }},
		{"budget below n", "at least 10 draws", func(o *generate.Options) { o.Temperature, o.Sampler, o.Draws = .1, generate.Exact, 9 }},
	} {
		o := generate.Options{}
		c.change(&o)
		err := testkit.NewWriting(t, e, m, o).Check(nil, o)
		if _, ok := errors.AsType[*generate.InputError](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
}
