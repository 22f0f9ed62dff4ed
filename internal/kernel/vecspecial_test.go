package kernel

import (
	"fmt"
	"math"
	"testing"

	"github.com/calm-go/calm/nn/random"
)

var (
	inf32      = float32(math.Inf(1))
	nan32      = float32(math.NaN())
	negZero    = float32(math.Copysign(0, -1))
	denormal32 = float32(math.SmallestNonzeroFloat32)
)

// single runs an elementwise kernel on a single number.
func single(f func(dst, src []float32), x float32) float32 {
	dst := []float32{nan32}
	f(dst, []float32{x})
	return dst[0]
}

func TestExpSpecialValues(t *testing.T) {
	cases := []struct{ x, want float32 }{
		{nan32, nan32}, {inf32, inf32}, {-inf32, 0}, {0, 1}, {negZero, 1}, {denormal32, 1}, {-denormal32, 1},
		{math.MaxFloat32, inf32}, {-math.MaxFloat32, 0}, {88.72284, inf32}, {1000, inf32}, {-87.33655, 0}, {-104, 0}, {-1000, 0},
		{math.Nextafter32(expMax, inf32), inf32}, {math.Nextafter32(expMin, -inf32), 0},
	}
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, c := range cases {
			if got := single(s.Exp, c.x); !sameBits([]float32{got}, []float32{c.want}) {
				t.Errorf("Exp(%v) = %v, want %v", c.x, got, c.want)
			}
		}
		if got := single(s.Exp, expMax); !(got > 3.402e38) {
			t.Errorf("Exp(%v) = %v, want nearly the largest float32", float32(expMax), got)
		}
		if got := single(s.Exp, expMin); !(got > 1.17e-38 && got < 1.18e-38) {
			t.Errorf("Exp(%v) = %v, want the smallest normal float32", float32(expMin), got)
		}
		for payload := uint32(1); payload < 1<<22; payload = payload*3 + 1 { // a NaN's bits must not reach the exponent
			for _, high := range []uint32{0x7FC00000, 0xFFC00000, 0x7F800000} {
				if got := single(s.Exp, math.Float32frombits(high|payload)); got == got {
					t.Fatalf("Exp(NaN with payload %#x) = %v", payload, got)
				}
			}
		}
	})
}

func TestExpAccuracy(t *testing.T) {
	const n = 200_001
	src, dst := make([]float32, n), make([]float32, n)
	for i := range src {
		src[i] = float32(expMin + (expMax-expMin)*float64(i)/(n-1))
	}
	for i := range n / 4 { // half of the numbers lie about 0
		src[4*i] /= 64
	}
	forEachISA(t, func(t *testing.T, s ISA) {
		s.Exp(dst, src)
		worst := 0.
		for i, x := range src {
			want := math.Exp(float64(x))
			if want > math.MaxFloat32 || want < 0x1p-126 {
				continue
			}
			worst = max(worst, math.Abs(float64(dst[i])/want-1))
		}
		t.Logf("largest relative error %.3g", worst)
		if !(worst < 1e-7) || worst == 0 {
			t.Errorf("largest relative error %g, want below 1e-7", worst)
		}
	})
}

func TestSiLUSpecialValues(t *testing.T) {
	ones := func(f func(dst, x, y []float32)) func(dst, src []float32) {
		return func(dst, src []float32) { f(dst, src, []float32{1}) }
	}
	cases := []struct{ x, silu, grad float32 }{
		{0, 0, .5}, {negZero, negZero, .5}, {100, 100, 1}, {-200, 0, 0}, {nan32, nan32, nan32}, {inf32, inf32, nan32},
		{-inf32, nan32, nan32}, {denormal32, 0, .5}, {math.MaxFloat32, math.MaxFloat32, 1},
	}
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, c := range cases {
			for name, got := range map[string]float32{"SiLU": single(s.SiLU, c.x), "SwiGLU": single(ones(s.SwiGLU), c.x)} {
				compareFloats(t, fmt.Sprintf("%s(%v)", name, c.x), []float32{got}, []float64{float64(c.silu)}, 0x1p-126)
			}
			got := single(ones(s.SiLUGrad), c.x)
			compareFloats(t, fmt.Sprintf("SiLUGrad(%v)", c.x), []float32{got}, []float64{float64(c.grad)}, 1e-7)
		}
	})
}

func TestExpSumOfMaskedRow(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for n := 1; n < 40; n++ {
			x := make([]float32, n)
			for i := range x {
				x[i] = -inf32
			}
			x[n/2] = 3
			if sum := s.ExpSum(x, x, 3); sum != 1 || x[n/2] != 1 || s.Sum(x) != 1 {
				t.Fatalf("n=%d: sum %v of %v, want 1", n, sum, x)
			}
		}
	})
}

func TestMaxSpecialValues(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for n := 1; n < 140; n++ {
			for _, at := range []int{0, n / 2, n - 1} {
				x := make([]float32, n)
				for i := range x {
					x[i] = -inf32
				}
				if got, v := s.ArgMax(x); got != 0 || v != -inf32 {
					t.Fatalf("n=%d: ArgMax of -Inf is %d, %v", n, got, v)
				}
				x[at] = -3
				x[n-1] = -3 // a tie: the first counts
				if got, v := s.ArgMax(x); got != at || v != -3 || s.Max(x) != -3 {
					t.Fatalf("n=%d: ArgMax is %d, %v, want %d, -3", n, got, v, at)
				}
				x[n/3] = inf32
				if got, v := s.ArgMax(x); got != n/3 || v != inf32 {
					t.Fatalf("n=%d: ArgMax is %d, %v, want %d, +Inf", n, got, v, n/3)
				}
				for _, nan := range []uint32{0x7FC00000, 0xFFC00000, 0x7F800001, 0xFF800001} {
					x[at] = math.Float32frombits(nan)
					if got, v := s.ArgMax(x); got != at || v == v || s.Max(x) == s.Max(x) {
						t.Fatalf("n=%d: ArgMax is %d, %v, want the NaN %#x at %d", n, got, v, nan, at)
					}
				}
			}
		}
	})
}

func TestReductionsPassOnNaN(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for n := 1; n < 70; n++ {
			for at := range n {
				x, y := make([]float32, n), make([]float32, n)
				x[at] = nan32
				mean, rstd := s.MeanRstd(x, 1)
				for i, v := range []float32{s.Sum(x), s.Dot(x, y), s.Dot(y, x), s.SumSquares(x), s.ExpSum(y, x, 0), mean, rstd} {
					if v == v {
						t.Fatalf("n=%d: reduction %d of a NaN at %d is %v", n, i, at, v)
					}
				}
			}
		}
	})
}

func TestDenormalsAreKept(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		x := []float32{denormal32, 3 * denormal32, -denormal32, negZero, 0, 0, 0, 0, denormal32}
		dst := make([]float32, len(x))
		s.Scale(dst, 1, x)
		if !sameBits(dst, x) {
			t.Errorf("Scale by 1: %v, want %v", dst, x)
		}
		s.Add(dst, x, x)
		if dst[1] != 6*denormal32 || dst[8] != 2*denormal32 || !sameBits(dst[3:4], x[3:4]) {
			t.Errorf("x + x = %v", dst)
		}
	})
}

func TestWrongLengthsPanic(t *testing.T) {
	x, y := make([]float32, 8), make([]float32, 7)
	calls := map[string]func(s ISA){
		"Exp":       func(s ISA) { s.Exp(x, y) },
		"Add":       func(s ISA) { s.Add(x, x, y) },
		"Dot":       func(s ISA) { s.Dot(x, y) },
		"AdamW":     func(s ISA) { s.AdamW(x, x, x, y, AdamWStep{}) },
		"LayerNorm": func(s ISA) { s.LayerNorm(x, x, x, nil, 0, 1) },
		"Rotary":    func(s ISA) { s.Rotary(x, x, x[:4], x[:3]) },
		"odd":       func(s ISA) { s.Rotary(y, y, x[:3], x[:3]) },
		"distances": func(s ISA) { s.DistanceSquares(y[:3], x, 3, x[:3]) },
		"stride":    func(s ISA) { s.DistanceSquares(y[:2], x, 2, x[:3]) },
		"gradient":  func(s ISA) { s.AccumulateDifferences(x[:4], y[:3], x, 4, y[:1]) },
		"roots":     func(s ISA) { s.Roots(x, y, 1) },
		"end":       func(s ISA) { s.Normal(x, random.Stream{}, random.Size-7) },
		"offset":    func(s ISA) { s.Normal(x, random.Stream{}, -1) },
		"interval":  func(s ISA) { s.Uniform(x, random.Stream{}, 0, 1, 1) },
		"chance":    func(s ISA) { s.Bernoulli(x, random.Stream{}, 0, 1.5, 1) },
	}
	forEachISA(t, func(t *testing.T, s ISA) {
		for name, call := range calls {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: no panic", name)
					}
				}()
				call(s)
			}()
		}
	})
}

func TestNothingAllocates(t *testing.T) {
	const n = 100
	x := make([][]float32, 6)
	for i := range x {
		x[i] = make([]float32, n)
	}
	step := NewAdamWStep(1e-3, .9, .95, 1e-8, .1, 10, 1)
	forEachISA(t, func(t *testing.T, s ISA) {
		allocs := testing.AllocsPerRun(10, func() {
			s.Exp(x[0], x[1])
			s.ExpSum(x[0], x[1], 1)
			s.SwiGLUGrad(x[0], x[1], x[2], x[3], x[4])
			s.ArgMax(x[0])
			s.LayerNormGrad(x[0], x[1], x[2], x[3], x[4], x[5], 0, 1)
			s.RMSNormGrad(x[0], x[1], x[2], x[3], x[4], 1)
			s.MeanRstd(x[0], 1)
			s.AdamW(x[0], x[1], x[2], x[3], step)
			s.DistanceSquares(x[0][:5], x[1], 20, x[2][:20])
			s.AccumulateDifferences(x[0][:20], x[1][:20], x[2], 20, x[3][:5])
			s.Roots(x[0], x[0], 1)
			s.Uniform(x[0], random.Stream{}, 7, 0, 1)
			s.Bernoulli(x[0], random.Stream{}, 7, .5, 1)
			s.Normal(x[0], random.Stream{}, 7)
		})
		if allocs != 0 {
			t.Errorf("%v allocations", allocs)
		}
	})
}
