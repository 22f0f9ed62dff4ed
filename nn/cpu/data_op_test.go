package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/calm-go/calm/internal/kernel"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/nn/random"
)

func normal(seed uint64, n int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 9))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// TestCachedAttention: chunks of a sequence, rows at different positions included, give what attention to the whole
// sequence gives; the part of a cache that was not written does not matter.
func TestCachedAttention(t *testing.T) {
	const batch, total, heads, kv, d, capacity = 2, 150, 4, 2, 6, 157
	chunks := [][]int{{1, 1, 5, 64, 65, 13, 1}, {total}, {70, 80}, {149, 1}}
	q, k, v := normal(1, batch*total*heads*d), normal(2, batch*total*kv*d), normal(3, batch*total*kv*d)
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		e := engine(t, isa, 2)
		g := nn.NewGraph()
		in := []*nn.Tensor{g.Floats("q", batch, total, heads*d), g.Floats("k", batch, total, kv*d), g.Floats("v", batch, total, kv*d)}
		y := g.Attention(in[0], in[1], in[2], heads, kv)
		g.Output(y)
		p := e.Compile(g, cpu.Inference)
		for i, x := range [][]float32{q, k, v} {
			copy(p.Floats(in[i]), x)
		}
		once(t, p, false)
		want := p.Floats(y)
		for _, sizes := range chunks {
			c := newCacheRun(batch, capacity, kv*d)
			pos := 0
			for _, n := range sizes {
				got := c.run(t, e, n, pos, heads, kv, d, total, q, k, v)
				for b := range batch {
					part := want[(b*total+pos)*heads*d : (b*total+pos+n)*heads*d]
					for i, w := range part {
						if diff := math.Abs(float64(got[b*n*heads*d+i] - w)); !(diff < 3e-6) {
							t.Fatalf("chunks %v, %d rows at %d, row %d: [%d] is %v, want %v", sizes, n, pos, b, i, got[b*n*heads*d+i], w)
						}
					}
				}
				pos += n
			}
			if pos != total {
				t.Fatalf("chunks %v make %d", sizes, pos)
			}
		}
	})
}

// cacheRun is a pair of caches that outlives the programs that use it, NaN where nothing was written.
type cacheRun struct {
	batch, capacity, width int
	k, v                   []float32
}

func newCacheRun(batch, capacity, width int) *cacheRun {
	c := &cacheRun{batch, capacity, width, make([]float32, batch*capacity*width), make([]float32, batch*capacity*width)}
	for i := range c.k {
		c.k[i], c.v[i] = float32(math.NaN()), float32(math.NaN())
	}
	return c
}

func (c *cacheRun) run(t *testing.T, e *cpu.Engine, n, pos, heads, kv, d, total int, q, k, v []float32) []float32 {
	t.Helper()
	g := nn.NewGraph()
	tq, tk, tv := g.Floats("q", c.batch, n, heads*d), g.Floats("k", c.batch, n, kv*d), g.Floats("v", c.batch, n, kv*d)
	kc, vc := g.State("k cache", c.batch, c.capacity, c.width), g.State("v cache", c.batch, c.capacity, c.width)
	slot, start := g.Ints("slot", c.batch), g.Ints("start", c.batch)
	y := g.CachedAttention(tq, tk, tv, kc, vc, slot, start, heads, kv)
	g.Output(y)
	p := e.Compile(g, cpu.Inference)
	p.Bind(kc, c.k)
	p.Bind(vc, c.v)
	for b := range c.batch {
		p.Ints(slot)[b], p.Ints(start)[b] = int32(b), int32(pos)
		copy(p.Floats(tq)[b*n*heads*d:(b+1)*n*heads*d], q[(b*total+pos)*heads*d:])
		copy(p.Floats(tk)[b*n*kv*d:(b+1)*n*kv*d], k[(b*total+pos)*kv*d:])
		copy(p.Floats(tv)[b*n*kv*d:(b+1)*n*kv*d], v[(b*total+pos)*kv*d:])
	}
	once(t, p, false)
	first := slices.Clone(p.Floats(y))
	if a := testing.AllocsPerRun(2, func() { once(t, p, false) }); a != 0 { // writes the same again
		t.Errorf("a run on a cache allocates %v times", a)
	}
	sameBits(t, "the same chunk again", p.Floats(y), first)
	for _, full := range []int32{int32(c.capacity-n) + 1, -1, math.MaxInt32} {
		p.Ints(start)[0] = full
		if err := p.Forward(); err == nil || !strings.Contains(err.Error(), "fit") {
			t.Errorf("%d rows at %d of %d: error %v", n, full, c.capacity, err)
		}
	}
	return first
}

// TestBadData: invalid data is an error that names it, not a panic, and the next run works.
func TestBadData(t *testing.T) {
	e := engine(t, kernel.Best(), 2)
	ps := nn.NewParams()
	table := ps.Matrix("table", nn.Gaussian(1), 5, 4)
	ps.Initialize(1)
	cases := []struct {
		name  string
		bad   []int32
		build func(g *nn.Graph, ids *nn.Tensor)
		want  string
	}{
		{"embedding", []int32{5, -1, math.MaxInt32, math.MinInt32}, func(g *nn.Graph, ids *nn.Tensor) {
			g.Output(g.Embedding(g.Param(table), ids, -1))
		}, "embedding table: token id %d at position 2"},
		{"cross entropy", []int32{5, -1, -99, -101}, func(g *nn.Graph, ids *nn.Tensor) {
			g.Loss(g.CrossEntropy(g.Floats("h", 3, 4), g.Param(table), ids).Loss, 1)
		}, "cross entropy: label %d at position 2"},
		{"rotary", []int32{-1, math.MinInt32, math.MaxInt32}, func(g *nn.Graph, ids *nn.Tensor) {
			g.Output(g.Rotary(g.Floats("x", 3, 2, 4), ids, 1, 100))
		}, "rotary: row 2 starts at position %d: want 0 to 2097150"},
		{"rotary before a cache", []int32{-1, 8, math.MaxInt32}, func(g *nn.Graph, ids *nn.Tensor) {
			q := g.Rotary(g.Floats("x", 3, 2, 4), ids, 1, 100)
			g.Output(g.CachedAttention(q, q, q, g.State("k", 3, 9, 4), g.State("v", 3, 9, 4), g.Ints("slot", 3), ids, 1, 1))
		}, "rotary: row 2 starts at position %d: want 0 to 7, so that its 2 fit 9"},
		{"categorical", []int32{5, -1, -99, -101}, func(g *nn.Graph, ids *nn.Tensor) {
			g.Output(g.Categorical(g.Floats("h", 3, 4), g.Param(table), ids, g.Floats("u", 1, 3)).LogP)
		}, "categorical: label %d at position 2"},
		{"context", []int32{2, -2, math.MaxInt32, math.MinInt32}, func(g *nn.Graph, ids *nn.Tensor) {
			prefixAttention(g, ids, g.Ints("length", 3))
		}, "prefix attention: row 2 continues context %d of 2"},
		{"prefix", []int32{6, -1, math.MaxInt32, math.MinInt32}, func(g *nn.Graph, ids *nn.Tensor) {
			prefixAttention(g, g.Ints("context", 3), ids)
		}, "prefix attention: row 2 continues %d positions"},
	}
	for _, c := range cases {
		g := nn.NewGraph()
		ids := g.Ints("ids", 3)
		c.build(g, ids)
		p := e.Compile(g, cpu.Inference)
		for _, s := range g.Tensors() {
			if s.Role() == nn.State {
				p.Bind(s, make([]float32, s.Size()))
			}
			if s.Name() == "slot" {
				copy(p.Ints(s), []int32{2, 0, 1})
			}
		}
		once(t, p, false)
		for _, bad := range c.bad {
			p.Ints(ids)[2] = bad
			want := fmt.Sprintf(c.want, bad)
			if err := p.Forward(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s of %d: error %v, want %q", c.name, bad, err, want)
			}
		}
		p.Ints(ids)[2] = 1
		once(t, p, false)
	}
}

func prefixAttention(g *nn.Graph, context, length *nn.Tensor) {
	x, prefix := g.Floats("x", 3, 2, 4), g.Floats("prefix", 2, 5, 4)
	g.Output(g.PrefixAttention(x, x, x, prefix, prefix, context, length, 1, 1))
}

// TestRandomTensors: draws follow from seed, step, name and index, not from threads; and they are what the
// distribution says.
func TestRandomTensors(t *testing.T) {
	const n = 40_001
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		draw := func(threads int, seed, step uint64, prefix string) [][]float32 {
			e := engine(t, isa, threads)
			g := nn.NewGraph()
			var out [][]float32
			dists := []nn.Dist{nn.Normal(), nn.Uniform(-.5, .5), nn.Bernoulli(.7, 3), nn.Integers(1000)}
			var ys []*nn.Tensor
			one := g.Floats("one", n)
			for i, d := range dists {
				ys = append(ys, g.Mul(g.Random(prefix+string(rune('a'+i)), d, n), one))
			}
			g.Output(ys...)
			p := e.Compile(g, cpu.Inference)
			for i := range n {
				p.Floats(one)[i] = 1
			}
			p.SetDraws(seed, step)
			once(t, p, false)
			for _, y := range ys {
				out = append(out, slices.Clone(p.Floats(y)))
			}
			return out
		}
		want := draw(1, 3, 4, "x")
		for i, other := range [][][]float32{draw(2, 3, 4, "x"), draw(3, 3, 4, "x")} {
			for k := range want {
				sameBits(t, fmt.Sprintf("draws with %d threads", i+2), other[k], want[k])
			}
		}
		for name, other := range map[string][][]float32{"seed": draw(1, 4, 4, "x"), "step": draw(1, 3, 5, "x"), "name": draw(1, 3, 4, "y")} {
			for k := range want {
				equal := 0
				for i := range n {
					if want[k][i] == other[k][i] {
						equal++
					}
				}
				// Chance: Bernoulli(.7) agrees with probability .58, the others hardly ever.
				if limit := []float64{.01, .01, .6, .01}[k]; float64(equal)/n > limit {
					t.Errorf("with another %s %d of %d draws of kind %d are the same", name, equal, n, k)
				}
			}
		}
		for k, moments := range [][2]float64{{0, 1}, {0, 1. / 12}, {2.1, 9 * .7 * .3}, {499.5, (1e6 - 1) / 12}} {
			mean, square := 0., 0.
			for _, x := range want[k] {
				mean += float64(x) / n
				square += math.Pow(float64(x)-moments[0], 2) / n
			}
			sigma := math.Sqrt(moments[1] / n)
			if math.Abs(mean-moments[0]) > 5*sigma || math.Abs(square/moments[1]-1) > .05 {
				t.Errorf("kind %d has mean %.4f and variance %.4f, want %v", k, mean, square, moments)
			}
		}
	})
}

// TestIntegers: draws are integers, the first and the last of the range among them.
func TestIntegers(t *testing.T) {
	g := nn.NewGraph()
	const n, count = 5, 2000
	y := g.SinusoidalEmbedding(g.Random("t", nn.Integers(n), count), 1, 2) // cos t, sin t
	g.Output(y)
	p := engine(t, kernel.Best(), 2).Compile(g, cpu.Inference)
	once(t, p, false)
	seen := map[float64]int{}
	for i := range count {
		v := math.Atan2(float64(p.Floats(y)[2*i+1]), float64(p.Floats(y)[2*i]))
		v = math.Mod(v+2*math.Pi, 2*math.Pi)
		if math.Abs(v-math.Round(v)) > 1e-5 {
			t.Fatalf("%v is not whole", v)
		}
		seen[math.Round(v)]++
	}
	for k := range n {
		if c := seen[float64(k)]; len(seen) != n || math.Abs(float64(c)-count/n) > 5*math.Sqrt(count/n) {
			t.Errorf("%d comes %d times of %d; seen %v", k, c, count, seen)
		}
	}
}

// TestBadTimes: a time outside the tables is an error, and names it.
func TestBadTimes(t *testing.T) {
	e := engine(t, kernel.Best(), 2)
	g := nn.NewGraph()
	x := func(name string, shape ...int) *nn.Tensor { return g.Floats(name, shape...) }
	times := x("t", 2, 3)
	noisy := g.NoisyTarget(x("mean", 3, 4), x("std", 3, 4), x("eps", 2, 3, 4), x("noise", 2, 3, 4), times, make([]float32, 7), make([]float32, 7))
	g.Output(noisy.Y)
	h := nn.NewGraph()
	y := func(name string, shape ...int) *nn.Tensor { return h.Floats(name, shape...) }
	late := y("t", 2, 3)
	zeros := make([]float64, 7)
	loss := h.DiffusionLoss(y("pred", 2, 3, 8), y("target", 2, 3, 4), y("noise", 2, 3, 4), late, nil, nn.DiffusionTables{MinLog: zeros, MaxLog: zeros, Coef: zeros})
	h.Output(loss.Loss)
	for _, c := range []struct {
		p *cpu.Program
		t *nn.Tensor
	}{{e.Compile(g, cpu.Inference), times}, {e.Compile(h, cpu.Inference), late}} {
		for _, bad := range []float32{-1, 7, 2.5, float32(math.NaN())} {
			c.p.Floats(c.t)[4] = bad
			if err := c.p.Forward(); err == nil || !strings.Contains(err.Error(), "want an integer from 0 to 6") {
				t.Errorf("time %v: %v", bad, err)
			}
		}
		c.p.Floats(c.t)[4] = 6
		if err := c.p.Forward(); err != nil {
			t.Error(err)
		}
	}
}

// TestEnergyScoreDrawsTargets: targets that the operation draws are those of Eps's stream, position after position at
// multiples of 64, and give what the same targets give when fed.
func TestEnergyScoreDrawsTargets(t *testing.T) {
	const n, m, positions, z = 3, 5, 7, 9
	ps := nn.NewParams()
	pred := ps.Matrix("pred", nn.Gaussian(1), n*positions, z)
	ps.Initialize(1)
	eachISA(t, func(t *testing.T, isa kernel.ISA) {
		e := engine(t, isa, 2)
		g := nn.NewGraph()
		mean, logStd := g.Floats("mean", positions, z), g.Floats("log_std", positions, z)
		eps := g.Random("eps", nn.Normal(), m, positions, z)
		o := g.EnergyScore(g.Reshape(g.Param(pred), n, positions, z), mean, logStd, eps, nil, 1)
		g.Loss(o.Loss, 1)
		g.Output(o.DistX, o.DistY)
		p := e.Compile(g, cpu.Training)
		copy(p.Floats(mean), normal(4, positions*z))
		p.SetDraws(5, 6)
		once(t, p, true)
		drawn := result(p, g, true)

		fed := make([]float32, m*positions*z)
		buf := make([]float32, m*z)
		for at := range positions {
			isa.Normal(buf, random.Stream{Seed: 5, Draw: random.ID("eps"), Step: 6}, at*64)
			for k := range m {
				copy(fed[(k*positions+at)*z:(k*positions+at+1)*z], buf[k*z:])
			}
		}
		p.Feed(eps, fed)
		once(t, p, true)
		same(t, "fed targets", result(p, g, true), drawn)
		p.Feed(eps, nil)
		p.SetDraws(5, 7)
		once(t, p, true)
		if p.Loss() == drawn.Loss {
			t.Error("another step draws the same targets")
		}
	})
}

// TestSharedTargetsAreRefused: the targets of an energy score are never in memory, so nothing else can read them.
func TestSharedTargetsAreRefused(t *testing.T) {
	e := engine(t, kernel.Portable, 1)
	for _, before := range []bool{true, false} {
		g := nn.NewGraph()
		mean := g.Floats("mean", 2, 3)
		eps := g.Random("eps", nn.Normal(), 1, 2, 3)
		read := func() { g.Output(g.Reparameterize(mean, mean, eps)) }
		if before {
			read()
		}
		g.Output(g.EnergyScore(g.Floats("pred", 2, 2, 3), mean, mean, eps, nil, 1).Loss)
		if !before {
			read()
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("compiles, the other reader before: %t", before)
				}
			}()
			e.Compile(g, cpu.Inference)
		}()
	}
}
