package kernel

import (
	"encoding/binary"
	"math"
	"testing"
)

// FuzzVectorTwins runs kernels on arbitrary bits and compares each instruction set with the portable twin.
func FuzzVectorTwins(f *testing.F) {
	seed := make([]byte, 0, 400)
	for _, v := range []float32{0, negZero, 1, -1, denormal32, inf32, -inf32, nan32, 88.72, -87.33, 3e38, 1e-38, 100, -100} {
		seed = binary.LittleEndian.AppendUint32(seed, math.Float32bits(v))
	}
	f.Add(seed)
	f.Add(append(seed, append(seed, seed...)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		words := make([]float32, len(data)/4)
		for i := range words {
			words[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
		n := len(words) / 2
		x, y := words[:n], words[n:2*n]
		for _, s := range Available()[1:] {
			fuzzElementwise(t, s, x, y)
			if got, want := s.Max(x), Portable.Max(x); got != want && (got == got || want == want) {
				t.Fatalf("%v: Max(%v) = %v, want %v", s, x, got, want)
			}
			i, v := s.ArgMax(x)
			if j, w := Portable.ArgMax(x); i != j || v != w && (v == v || w == w) {
				t.Fatalf("%v: ArgMax(%v) = %d, %v, want %d, %v", s, x, i, v, j, w)
			}
		}
	})
}

func fuzzElementwise(t *testing.T, s ISA, x, y []float32) {
	kernels := []struct {
		name string
		run  func(s ISA, dst []float32)
		near func(got, want float64, i int) bool // beyond equality
	}{
		{"Add", func(s ISA, dst []float32) { s.Add(dst, x, y) }, nil},
		{"Mul", func(s ISA, dst []float32) { s.Mul(dst, x, y) }, nil},
		{"Scale", func(s ISA, dst []float32) { s.Scale(dst, 1.5, x) }, nil},
		{"Exp", func(s ISA, dst []float32) { s.Exp(dst, x) }, relative(2.5e-7)},
		{"SiLU", func(s ISA, dst []float32) { s.SiLU(dst, x) }, relative(1e-6)},
		{"SwiGLU", func(s ISA, dst []float32) { s.SwiGLU(dst, x, y) }, relative(1e-6)},
		{"MulAddTo", func(s ISA, dst []float32) { s.MulAddTo(dst, y, x, y) }, func(got, want float64, i int) bool {
			a, b := float64(y[i]), float64(x[i])*float64(y[i])
			scale := math.Abs(a) + math.Abs(b)
			return scale > math.MaxFloat32 || math.Abs(got-want) <= 4e-7*scale+0x1p-126
		}},
	}
	for _, k := range kernels {
		got, want := make([]float32, len(x)), make([]float32, len(x))
		k.run(s, got)
		k.run(Portable, want)
		for i := range got {
			g, w := got[i], want[i]
			if g == w || g != g && w != w || k.near != nil && k.near(float64(g), float64(w), i) {
				continue
			}
			t.Fatalf("%v: %s of %v and %v: element %d is %v, want %v", s, k.name, x, y, i, g, w)
		}
	}
}

// relative allows an error relative to what is wanted, and that of flushing numbers below the normal ones.
func relative(tol float64) func(got, want float64, i int) bool {
	return func(got, want float64, _ int) bool {
		return math.Abs(got-want) <= tol*math.Abs(want)+0x1p-125
	}
}
