package bfloat16

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestFromFloat32 compares with the definition: the nearest bfloat16; of two equally near ones, the even one.
func TestFromFloat32(t *testing.T) {
	check := func(v float32) {
		got := FromFloat32(v)
		if v != v {
			if f := ToFloat32(got); f == f {
				t.Fatalf("NaN %#x rounds to %v", math.Float32bits(v), f)
			}
			return
		}
		down := uint16(math.Float32bits(v) >> 16)
		want := down
		if ToFloat32(down) != v {
			up := down + 1 // away from zero
			value := func(h uint16) float64 {
				if h&0x7fff == 0x7f80 { // the value after the largest, if the exponents continued
					return math.Copysign(0x1p128, float64(v))
				}
				return float64(ToFloat32(h))
			}
			a, b := math.Abs(float64(v)-value(down)), math.Abs(value(up)-float64(v))
			if b < a || b == a && up%2 == 0 {
				want = up
			}
		}
		if got != want {
			t.Fatalf("%v (%#x) rounds to %#x, want %#x", v, math.Float32bits(v), got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 0))
	for range 200000 {
		check(math.Float32frombits(r.Uint32()))
		check(math.Float32frombits(r.Uint32()&0xffff0000 | 0x8000)) // halfway
	}
	for _, v := range []float32{0, 1, 1 + 0x1p-8, 1 + 3*0x1p-8, math.MaxFloat32, 0x1p-149, float32(math.Inf(1)), math.Float32frombits(0x7f800001)} {
		check(v)
		check(-v)
	}
	for h := range 1 << 16 { // a bfloat16 rounds to itself
		if f := ToFloat32(uint16(h)); f == f && FromFloat32(f) != uint16(h) {
			t.Fatalf("%#x comes back as %#x", h, FromFloat32(f))
		}
	}
}

func TestSlices(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 0))
	for _, n := range []int{0, 1, 7, 1000} {
		src, half, wide := make([]float32, n), make([]uint16, n), make([]float32, n)
		for i := range src {
			src[i] = float32(r.NormFloat64())
		}
		Round(half, src)
		Widen(wide, half)
		for i, v := range src {
			if half[i] != FromFloat32(v) || wide[i] != ToFloat32(half[i]) {
				t.Fatalf("%v becomes %#x and %v", v, half[i], wide[i])
			}
		}
	}
	for name, f := range map[string]func(){
		"Round": func() { Round(make([]uint16, 2), make([]float32, 3)) },
		"Widen": func() { Widen(make([]float32, 3), make([]uint16, 2)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of different lengths does not panic", name)
				}
			}()
			f()
		}()
	}
}
