package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// A vecCase is one vector kernel with its definition in float64.
type vecCase struct {
	name string
	in   int  // inputs, each of length n
	out  int  // outputs, each of length n, or one number
	add  bool // the outputs are read too
	sum  bool // the outputs are single numbers: rounding grows with n, splitting is no concern
	row  bool // elements depend on the whole row: splitting is no concern
	run  func(s ISA, out, in [][]float32)
	want func(out, in [][]float64) // out holds the initial values where add is set
	tol  float64                   // of |want| + 1
	span float64                   // inputs are normal numbers times span
}

// each turns a definition of one element into one of slices.
func each(f func(out, in []float64)) func(out, in [][]float64) {
	return func(out, in [][]float64) {
		o, x := make([]float64, len(out)), make([]float64, len(in))
		for i := range out[0] {
			for k := range out {
				o[k] = out[k][i]
			}
			for k := range in {
				x[k] = in[k][i]
			}
			f(o, x)
			for k := range out {
				out[k][i] = o[k]
			}
		}
	}
}

func silu64(x float64) float64 { return x / (1 + math.Exp(-x)) }

func siluGrad64(x float64) float64 {
	r := 1 / (1 + math.Exp(-x))
	return r * (1 + x*(1-r))
}

func dot64(x ...[]float64) float64 {
	var sum float64
	for i := range x[0] {
		p := 1.0
		for k := range x {
			p *= x[k][i]
		}
		sum += p
	}
	return sum
}

// vecCases are the kernels over vectors of one length, but for those of random numbers.
func vecCases() []vecCase {
	return slices.Concat(arithmeticCases(), expCases(), reduceCases(), normCases())
}

func arithmeticCases() []vecCase {
	const alpha = -1.25
	return []vecCase{
		{name: "Add", in: 2, out: 1, tol: 1e-7, span: 3,
			run:  func(s ISA, out, in [][]float32) { s.Add(out[0], in[0], in[1]) },
			want: each(func(out, in []float64) { out[0] = in[0] + in[1] })},
		{name: "Mul", in: 2, out: 1, tol: 1e-7, span: 3,
			run:  func(s ISA, out, in [][]float32) { s.Mul(out[0], in[0], in[1]) },
			want: each(func(out, in []float64) { out[0] = in[0] * in[1] })},
		{name: "MulAdd", in: 2, out: 1, add: true, tol: 1e-6, span: 1,
			run:  func(s ISA, out, in [][]float32) { s.MulAdd(out[0], in[0], in[1]) },
			want: each(func(out, in []float64) { out[0] += in[0] * in[1] })},
		{name: "MulAddTo", in: 3, out: 1, tol: 1e-6, span: 1,
			run:  func(s ISA, out, in [][]float32) { s.MulAddTo(out[0], in[0], in[1], in[2]) },
			want: each(func(out, in []float64) { out[0] = in[0] + in[1]*in[2] })},
		{name: "Axpy", in: 1, out: 1, add: true, tol: 1e-6, span: 1,
			run:  func(s ISA, out, in [][]float32) { s.Axpy(out[0], alpha, in[0]) },
			want: each(func(out, in []float64) { out[0] += alpha * in[0] })},
		{name: "Scale", in: 1, out: 1, tol: 1e-7, span: 1,
			run:  func(s ISA, out, in [][]float32) { s.Scale(out[0], alpha, in[0]) },
			want: each(func(out, in []float64) { out[0] = alpha * in[0] })},
		{name: "AdamW", in: 1, out: 3, add: true, tol: 1e-6, span: .5,
			run: func(s ISA, out, in [][]float32) {
				for i, v := range out[2] {
					out[2][i] = max(v, -v)
				}
				s.AdamW(out[0], in[0], out[1], out[2], NewAdamWStep(.1, .9, .95, 1e-3, .1, 3, .5))
			},
			want: each(func(out, in []float64) {
				g := in[0] * .5
				out[0] *= 1 - .1*.1
				out[1] = .9*out[1] + (1-.9)*g
				out[2] = .95*math.Abs(out[2]) + (1-.95)*g*g
				m, v := out[1]/(1-math.Pow(.9, 3)), out[2]/(1-math.Pow(.95, 3))
				out[0] -= .1 * m / (math.Sqrt(v) + 1e-3)
			})},
	}
}

func expCases() []vecCase {
	return []vecCase{
		{name: "Exp", in: 1, out: 1, tol: 1e-7, span: 3,
			run:  func(s ISA, out, in [][]float32) { s.Exp(out[0], in[0]) },
			want: each(func(out, in []float64) { out[0] = math.Exp(in[0]) })},
		{name: "ExpSum", in: 1, out: 1, tol: 2e-7, span: 3,
			run:  func(s ISA, out, in [][]float32) { s.ExpSum(out[0], in[0], .5) },
			want: each(func(out, in []float64) { out[0] = math.Exp(in[0] - .5) })},
		{name: "Roots", in: 1, out: 1, tol: 1e-6, span: 3,
			run:  func(s ISA, out, in [][]float32) { s.Mul(out[0], in[0], in[0]); s.Roots(out[0], out[0], .5) },
			want: each(func(out, in []float64) { out[0] = .5 / math.Abs(in[0]) })},
		{name: "SiLU", in: 1, out: 1, tol: 3e-7, span: 5,
			run:  func(s ISA, out, in [][]float32) { s.SiLU(out[0], in[0]) },
			want: each(func(out, in []float64) { out[0] = silu64(in[0]) })},
		{name: "SiLUGrad", in: 2, out: 1, tol: 1e-6, span: 3,
			run:  func(s ISA, out, in [][]float32) { s.SiLUGrad(out[0], in[0], in[1]) },
			want: each(func(out, in []float64) { out[0] = in[1] * siluGrad64(in[0]) })},
		{name: "SwiGLU", in: 2, out: 1, tol: 5e-7, span: 3,
			run:  func(s ISA, out, in [][]float32) { s.SwiGLU(out[0], in[0], in[1]) },
			want: each(func(out, in []float64) { out[0] = silu64(in[0]) * in[1] })},
		{name: "SwiGLUGrad", in: 3, out: 2, tol: 2e-6, span: 2,
			run: func(s ISA, out, in [][]float32) { s.SwiGLUGrad(out[0], out[1], in[0], in[1], in[2]) },
			want: each(func(out, in []float64) {
				out[0] = in[2] * in[1] * siluGrad64(in[0])
				out[1] = in[2] * silu64(in[0])
			})},
	}
}

func reduceCases() []vecCase {
	return []vecCase{
		{name: "Dot", in: 2, out: 1, sum: true, tol: 2e-6, span: 1,
			run:  func(s ISA, out, in [][]float32) { out[0][0] = s.Dot(in[0], in[1]) },
			want: func(out, in [][]float64) { out[0][0] = dot64(in[0], in[1]) }},
		{name: "Sum", in: 1, out: 1, sum: true, tol: 2e-6, span: 1,
			run:  func(s ISA, out, in [][]float32) { out[0][0] = s.Sum(in[0]) },
			want: func(out, in [][]float64) { out[0][0] = dot64(in[0]) }},
		{name: "SumSquares", in: 1, out: 1, sum: true, tol: 1e-6, span: 1,
			run:  func(s ISA, out, in [][]float32) { out[0][0] = s.SumSquares(in[0]) },
			want: func(out, in [][]float64) { out[0][0] = dot64(in[0], in[0]) }},
		{name: "ExpSum's sum", in: 1, out: 1, sum: true, tol: 5e-7, span: 3,
			run: func(s ISA, out, in [][]float32) { out[0][0] = s.ExpSum(make([]float32, len(in[0])), in[0], .5) },
			want: func(out, in [][]float64) {
				for _, x := range in[0] {
					out[0][0] += math.Exp(x - .5)
				}
			}},
		{name: "Roots' sum", in: 1, out: 1, sum: true, tol: 5e-7, span: 3,
			run: func(s ISA, out, in [][]float32) {
				squares := make([]float32, len(in[0]))
				s.Mul(squares, in[0], in[0])
				out[0][0] = s.Roots(squares, squares, 1)
			},
			want: func(out, in [][]float64) {
				for _, x := range in[0] {
					out[0][0] += math.Abs(x)
				}
			}},
		{name: "Max", in: 1, out: 1, sum: true, tol: 0, span: 1,
			run: func(s ISA, out, in [][]float32) { out[0][0] = s.Max(in[0]) },
			want: func(out, in [][]float64) {
				out[0][0] = slices.Max(append([]float64{math.Inf(-1)}, in[0]...))
			}},
		{name: "ArgMax", in: 1, out: 2, sum: true, tol: 0, span: 1,
			run: func(s ISA, out, in [][]float32) {
				i, v := s.ArgMax(in[0])
				out[0][0], out[1][0] = float32(i), v
			},
			want: func(out, in [][]float64) {
				out[1][0] = slices.Max(append([]float64{math.Inf(-1)}, in[0]...))
				out[0][0] = float64(slices.Index(in[0], out[1][0]))
			}},
		{name: "MeanRstd", in: 1, out: 2, sum: true, tol: 1e-6, span: 1,
			run: func(s ISA, out, in [][]float32) {
				if len(in[0]) > 0 {
					out[0][0], out[1][0] = s.MeanRstd(in[0], 1e-1)
				} else {
					out[0][0], out[1][0] = 0, 0
				}
			},
			want: func(out, in [][]float64) {
				if len(in[0]) > 0 {
					out[0][0], out[1][0] = meanRstd64(in[0], 1e-1)
				}
			}},
	}
}

func meanRstd64(x []float64, eps float64) (mean, rstd float64) {
	n := float64(len(x))
	mean = dot64(x) / n
	for _, v := range x {
		rstd += (v - mean) * (v - mean)
	}
	return mean, 1 / math.Sqrt(rstd/n+eps)
}

func TestVectorKernels(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, c := range vecCases() {
			t.Run(c.name, func(t *testing.T) {
				for _, p := range places() {
					for _, n := range testLengths() {
						c.check(t, s, p, n)
					}
				}
			})
		}
	})
}

// check compares a kernel with its definition at one length, and checks that nothing else was written.
func (c vecCase) check(t *testing.T, s ISA, p place, n int) {
	t.Helper()
	rng := newRand(uint64(n))
	in, out := make([]*buffer, c.in), make([]*buffer, c.out)
	for k := range in {
		in[k] = p.make(n)
		defer in[k].free()
		for i := range in[k].data {
			in[k].data[i] = float32(rng.NormFloat64() * c.span)
		}
	}
	outLen := n
	if c.sum {
		outLen = 1
	}
	for k := range out {
		out[k] = p.make(outLen)
		defer out[k].free()
		for i := range out[k].data {
			out[k].data[i] = float32(math.NaN())
			if c.add {
				out[k].data[i] = float32(rng.NormFloat64())
			}
		}
	}
	x, y := slicesOf(in), slicesOf(out)
	before := clone(x)
	start := clone(y)
	in64, want := widenAll(x), widenAll(y)
	if c.sum {
		for k := range want {
			want[k][0] = 0
		}
	}
	c.run(s, y, x)
	c.want(want, in64)
	where := fmt.Sprintf("%s n=%d %s", c.name, n, p.name)
	for k := range y {
		compareFloats(t, fmt.Sprintf("%s output %d", where, k), y[k], want[k], c.tol)
		if !out[k].intact() {
			t.Fatalf("%s: wrote outside of output %d", where, k)
		}
	}
	for k := range x {
		if !sameBits(x[k], before[k]) || !in[k].intact() {
			t.Fatalf("%s: changed input %d", where, k)
		}
	}
	if !c.sum && !c.row {
		c.checkSplit(t, s, where, start, x, y)
	}
	if !c.sum && !c.add {
		c.checkInPlace(t, s, where, x, y)
	}
}

// checkSplit demands that an element's value does not depend on where the vector is cut.
func (c vecCase) checkSplit(t *testing.T, s ISA, where string, start, x, y [][]float32) {
	t.Helper()
	n := len(y[0])
	for _, cut := range []int{1, n / 3, n - 1} {
		if cut <= 0 || cut >= n {
			continue
		}
		got := clone(start)
		c.run(s, part(got, 0, cut), part(x, 0, cut))
		c.run(s, part(got, cut, n), part(x, cut, n))
		for k := range y {
			if !sameBits(got[k], y[k]) {
				t.Fatalf("%s: cut at %d the result differs", where, cut)
			}
		}
	}
}

// checkInPlace demands that an output may be an input.
func (c vecCase) checkInPlace(t *testing.T, s ISA, where string, x, y [][]float32) {
	t.Helper()
	for k := range x {
		in, out := clone(x), clone(y)
		for o := range out {
			out[o] = in[(k+o)%len(in)]
		}
		c.run(s, out, in)
		for o := range out {
			if !sameBits(out[o], y[o]) {
				t.Fatalf("%s: the result differs with output %d in place of input %d", where, o, (k+o)%len(in))
			}
		}
	}
}

func compareFloats(t *testing.T, where string, got []float32, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: length %d, want %d", where, len(got), len(want))
	}
	for i, w := range want {
		g := float64(got[i])
		if g == w || math.IsNaN(g) && math.IsNaN(w) || math.Abs(g-w) <= tol*(math.Abs(w)+1) {
			continue
		}
		t.Fatalf("%s: element %d is %v, want %v (tolerance %g)", where, i, g, w, tol)
	}
}

func slicesOf(b []*buffer) [][]float32 {
	x := make([][]float32, len(b))
	for k := range b {
		x[k] = b[k].data
	}
	return x
}

func clone(x [][]float32) [][]float32 {
	c := make([][]float32, len(x))
	for k := range x {
		c[k] = slices.Clone(x[k])
	}
	return c
}

func part(x [][]float32, lo, hi int) [][]float32 {
	c := make([][]float32, len(x))
	for k := range x {
		c[k] = x[k][lo:hi]
	}
	return c
}

func widenAll(x [][]float32) [][]float64 {
	w := make([][]float64, len(x))
	for k := range x {
		w[k] = widen(x[k])
	}
	return w
}
