package lm_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/calm-go/calm/generate"
	"github.com/calm-go/calm/head"
	"github.com/calm-go/calm/internal/temperature"
	"github.com/calm-go/calm/internal/testkit"
	"github.com/calm-go/calm/lm"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

// drawWhole draws n patches of a stream and decodes all their tokens.
func drawWhole(t testing.TB, e *cpu.Engine, m *lm.Model, hidden []float32, stream random.Stream, n int) []int32 {
	t.Helper()
	ids, err := m.NewSampler(e, 1, n).DrawStream(hidden, stream, 0)
	if _, diverged := errors.AsType[*head.DivergedError](err); err != nil && !diverged {
		t.Fatal(err)
	}
	return slices.Clone(ids)
}

// askFor asks for the first depth[i] tokens of each draw i, one k after the other, and compares them with the patches.
func askFor(t testing.TB, p *lm.Pool, patch int, depth []int, want []int32) {
	t.Helper()
	for k := range patch {
		var draws []int
		var tokens []int32
		for i, d := range depth {
			if d > k {
				draws, tokens = append(draws, i), append(tokens, want[i*patch+k])
			}
		}
		got := make([]int32, len(draws))
		if err := p.Tokens(got, draws, k); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, tokens) {
			t.Fatalf("token %d of draws %v: %v, want %v", k, draws, got, tokens)
		}
	}
}

// Whatever tokens of whatever draws are asked for, they are bit for bit those of decoding everything, with every
// instruction set.
func TestPoolEqualsSampler(t *testing.T) {
	eachHead(t, func(t *testing.T, kind string) {
		m := sampling(t, kind)
		k, hidden, stream := m.Config.PatchSize, hiddenFor(m, 1), random.Stream{Seed: 3, Draw: 4, Step: 5}
		testkit.EachEngine(t, func(t *testing.T, e *cpu.Engine) {
			pool := m.NewPool(e)
			const few = 3
			pool.DrawAtOnce(few)
			want := drawWhole(t, e, m, hidden, stream, few)
			depth := slices.Repeat([]int{1}, few)
			for { // every number of tokens of each draw, so every subset at every k
				pool.Begin(hidden, stream)
				askFor(t, pool, k, depth, want)
				i := 0
				for ; i < few && depth[i] == k; i++ {
					depth[i] = 1
				}
				if i == few {
					break
				}
				depth[i]++
			}
			rng := rand.New(rand.NewPCG(1, 2))
			for _, c := range []struct{ size, draws, inputs int }{{7, 150, 1 << 20}, {70, 70, 1 << 20}, {256, 600, 1 << 30}, {30, 100, 61 * k * m.Autoencoder.Config.HiddenSize}} {
				pool.DrawAtOnce(1, c.size)
				pool.SetMaxInputs(c.inputs)
				want := drawWhole(t, e, m, hidden, stream, c.draws)
				for range 3 {
					depth := make([]int, c.draws)
					for i := range depth {
						depth[i] = 1 + min(k-1, int(rng.ExpFloat64()))
					}
					pool.Begin(hidden, stream)
					askFor(t, pool, k, depth, want)
				}
			}
		})
	})
}

// Texts are those of samplers that see whole patches, for weights of float32 and bfloat16.
func TestTextEqualsWholePatches(t *testing.T) {
	e := engine(t, 2)
	for _, half := range []bool{false, true} {
		m := tinyLM(4, .5)
		if half {
			m.Params.RoundToBF16()
		}
		for _, c := range []struct {
			T       float64
			sampler generate.Sampler
			draws   int
		}{{1, generate.Exact, 0}, {.7, generate.Exact, 0}, {.5, generate.Exact, 0}, {.5, generate.Batch, 0}, {.4, generate.Batch, 300},
			{.5, generate.Prefix, 0}, {1. / 3, generate.Prefix, 300}, {generate.Greedy, generate.Prefix, 0}} {
			for seed := range uint64(3) {
				o := generate.Options{Temperature: c.T, Sampler: c.sampler, Draws: c.draws, Seed: seed}
				s := m.NewSource(e)
				s.Begin(0, o)
				read(t, s, 256, 'a', 'b', 'c')
				for step := range 6 {
					p := writePatch(t, s, 4, step)
					want, draws := writeWhole(t, e, m, o, step)
					if !slices.Equal(p.IDs, want) || p.Draws != draws {
						t.Fatalf("%+v, patch %d: %v of %d draws, want %v of %d", o, step, p.IDs, p.Draws, want, draws)
					}
				}
				s.End(0)
			}
		}
	}
}

// read reads ids into slot 0, as many as fit in a run.
func read(t testing.TB, s generate.Source, ids ...int32) {
	t.Helper()
	if err := s.Read([]int{0}, ids); err != nil {
		t.Fatal(err)
	}
}

// writePatch writes a patch of slot 0.
func writePatch(t testing.TB, s generate.Source, k, step int) *generate.Patch {
	t.Helper()
	p := &generate.Patch{Step: step, IDs: make([]int32, k), Stopped: &atomic.Bool{}}
	for !p.Done {
		s.Write([]*generate.Patch{p})
	}
	if p.Err != nil {
		t.Fatal(p.Err)
	}
	return p
}

// writeWhole writes patch number step after the context of TestTextEqualsWholePatches from draws that are decoded whole.
func writeWhole(t *testing.T, e *cpu.Engine, m *lm.Model, o generate.Options, step int) ([]int32, int) {
	t.Helper()
	session, k := m.NewSession(e, 1, 4), m.Config.PatchSize
	if err := session.Append([]int32{256, 'a', 'b', 'c'}); err != nil {
		t.Fatal(err)
	}
	const atOnce = 50
	sampler := m.NewSampler(e, 1, atOnce)
	draws := &temperature.Patches{K: k, Make: func(first, _ int) ([]int32, error) {
		return sampler.DrawStream(session.Hidden(), generate.Noise(o.Seed, step), first)
	}}
	var s interface {
		Sample([]int32, temperature.Draws, func() float64) (int, error)
	}
	var err error
	count := func(otherwise int) int {
		if o.Draws > 0 {
			return o.Draws
		}
		return otherwise
	}
	switch o.Sampler {
	case generate.Prefix:
		s, err = temperature.NewPrefix(o.Limit(), k, count(64))
	case generate.Batch:
		s, err = temperature.NewBatch(o.Limit(), k, count(200))
	default:
		s, err = temperature.NewExact(o.Limit(), k, count(10_000))
	}
	if err != nil {
		t.Fatal(err)
	}
	patch := make([]int32, k)
	n, err := s.Sample(patch, draws, generate.Decisions(o.Seed, step))
	if err != nil {
		t.Fatal(err)
	}
	return patch, n
}

// poisoned is a head whose draws with these numbers diverge.
type poisoned struct {
	head.Sampler
	size int // of the noise of a draw
	bad  func(draw int) bool
}

func (p *poisoned) FillNoise(dst []float32, stream random.Stream, first int) {
	p.Sampler.FillNoise(dst, stream, first)
	for i := range len(dst) / p.size {
		if p.bad(first + i) {
			dst[i*p.size] = float32(math.NaN())
		}
	}
}

// Draws that diverge are no tokens, and leave the others as they are; that none was left is an error that says so.
func TestPoolDiverging(t *testing.T) {
	e := engine(t, 2)
	eachHead(t, func(t *testing.T, kind string) {
		m := sampling(t, kind)
		k, hidden, stream := m.Config.PatchSize, hiddenFor(m, 1), random.Stream{Seed: 3}
		want := drawWhole(t, e, m, hidden, stream, 40)
		bad := func(draw int) bool { return draw%3 == 1 || draw >= 30 }
		for i := range want {
			if bad(i / k) {
				want[i] = lm.Diverged
			}
		}
		pool := m.NewPool(e)
		pool.DrawAtOnce(10)
		pool.WrapHead(10, func(s head.Sampler) head.Sampler { return &poisoned{s, m.Head.NoiseSize(), bad} })
		for _, kept := range []int{1 << 20, 15 * k * m.Autoencoder.Config.HiddenSize} {
			pool.SetMaxInputs(kept)
			pool.Begin(hidden, stream)
			if pool.Diverged() != nil {
				t.Error("diverged before it began")
			}
			depth := make([]int, 40)
			for i := range depth {
				depth[i] = 1 + i%k
			}
			askFor(t, pool, k, depth, want)
			if d := pool.Diverged(); d == nil || d.Head != kind {
				t.Errorf("error of the draws: %v", d)
			}
		}
	})
}

// At temperature 1 a patch is decoded whole in one run; below it the prefix sampler decodes a part of its pool.
func TestPoolWork(t *testing.T) {
	e, m := engine(t, 1), tinyLM(4, 3)
	session := m.NewSession(e, 1, 1)
	if err := session.Append([]int32{256, 'a', 'b', 'c'}); err != nil {
		t.Fatal(err)
	}
	pool := m.NewPool(e)
	one, err := temperature.NewExact(1, 4, 10)
	if err != nil {
		t.Fatal(err)
	}
	prefix, err := temperature.NewPrefix(.5, 4, 200)
	if err != nil {
		t.Fatal(err)
	}
	patch := make([]int32, 4)
	pool.DrawAtOnce(1)
	pool.Begin(session.Hidden(), random.Stream{})
	if _, err := one.Sample(patch, pool, rand.Float64); err != nil {
		t.Fatal(err)
	}
	first := pool.Work()
	var head, decoder float64
	for _, part := range m.Drawing(1) {
		if part.Name == "head" {
			head += part.Weights().Bytes
		} else {
			decoder += part.Weights().Bytes
		}
	}
	if first.Draws != 1 || first.Tokens != 4 || first.Bytes != head+decoder {
		t.Errorf("one draw: %+v, want the weights to be read once: %v", first, head+decoder)
	}
	pool.DrawAtOnce(200)
	pool.Begin(session.Hidden(), random.Stream{})
	if _, err := prefix.Sample(patch, pool, rand.Float64); err != nil {
		t.Fatal(err)
	}
	w := pool.Work()
	if draws, tokens := w.Draws-first.Draws, w.Tokens-first.Tokens; draws != 200 || tokens < 203 || tokens > 600 {
		t.Errorf("%d tokens of %d draws", tokens, draws)
	}
	if w.Head <= first.Head || w.PerPatch <= first.PerPatch || w.PerToken <= first.PerToken || w.Bytes <= first.Bytes {
		t.Errorf("%+v after %+v", w, first)
	}
}

// Once its programs are compiled a pool does not allocate.
func TestPoolDoesNotAllocate(t *testing.T) {
	eachHead(t, func(t *testing.T, kind string) {
		e := cpu.New(cpu.Options{})
		defer e.Close()
		m := sampling(t, kind)
		hidden, pool, dst, draws := hiddenFor(m, 1), m.NewPool(e), make([]int32, 100), make([]int, 100)
		pool.DrawAtOnce(64)
		step := uint64(0)
		allocations := testing.AllocsPerRun(20, func() {
			step++
			pool.Begin(hidden, random.Stream{Step: step % 3})
			for k, n := range []int{100, 41, 20, 2} {
				for i := range n {
					draws[i] = i * (100 / n)
				}
				if err := pool.Tokens(dst[:n], draws[:n], k); err != nil {
					t.Fatal(err)
				}
			}
		})
		if allocations != 0 {
			t.Errorf("a patch allocates %v times", allocations)
		}
	})
}
