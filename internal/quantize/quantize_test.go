package quantize

import (
	"math"
	"math/rand/v2"
	"testing"
)

// checkRow compares with the definition in float64: the nearest multiple of max/127, the even one of two equally near.
func checkRow(t *testing.T, row []float32) {
	t.Helper()
	q := make([]int8, len(row))
	for i := range q {
		q[i] = 99
	}
	scale := Row(q, row)
	peak := 0.
	for _, v := range row {
		a := math.Abs(float64(v))
		if a != a {
			a = math.Inf(1)
		}
		peak = max(peak, a)
	}
	switch {
	case math.IsInf(peak, 1):
		if scale == scale {
			t.Fatalf("%v: scale %v, want NaN", row, scale)
		}
		peak = 0
	case peak < tiny:
		if scale != 0 {
			t.Fatalf("%v: scale %v, want 0", row, scale)
		}
		peak = 0
	}
	if peak == 0 {
		for i, v := range q {
			if v != 0 {
				t.Fatalf("number %d is %d, want 0", i, v)
			}
		}
		return
	}
	if d := math.Abs(float64(scale)*127/peak - 1); !(d < 0x1p-23) {
		t.Fatalf("the scale of %v is %v, want %v", row, scale, peak/127)
	}
	for i, v := range row {
		exact := float64(v) / peak * 127
		if d := math.Abs(exact - float64(q[i])); !(d <= .5+1e-4) || math.Abs(exact-math.RoundToEven(exact)) < .499 && float64(q[i]) != math.RoundToEven(exact) {
			t.Fatalf("number %d of %v is %d, want %v", i, row, q[i], exact)
		}
		if v != 0 && math.Abs(float64(v)) == peak && (q[i] != 127 && q[i] != -127) {
			t.Fatalf("the largest of %v becomes %d", row, q[i])
		}
	}
}

func TestRow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 40 {
		for _, size := range []float64{1, 1e-20, 1e30, 1e-35} {
			row := make([]float32, n)
			for i := range row {
				row[i] = float32(size * r.NormFloat64())
			}
			checkRow(t, row)
		}
	}
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, row := range [][]float32{nil, {0}, {0, -0.}, {1, nan}, {nan, 1, 2, 3, 4}, {inf}, {1, 2, 3, 4, -inf}, {0x1p-101, 0}, {0x1p-100, 0x1p-107},
		{math.MaxFloat32, -math.MaxFloat32, 1}, {math.SmallestNonzeroFloat32}} {
		checkRow(t, row)
	}
	q := make([]int8, 5)
	if s := Row(q, []float32{127, .5, 1.5, -.5, -2.5}); s != 1 || q[0] != 127 || q[1] != 0 || q[2] != 2 || q[3] != 0 || q[4] != -2 {
		t.Errorf("halves become %v of %v, want the even neighbours", q, s)
	}
}

func FuzzRow(f *testing.F) {
	f.Add(uint32(0x3f800000), uint32(0xbf000000), uint32(0x7f800000))
	f.Add(uint32(0x42fe0000), uint32(0x3f000000), uint32(1))
	f.Fuzz(func(t *testing.T, a, b, c uint32) {
		checkRow(t, []float32{math.Float32frombits(a), math.Float32frombits(b), math.Float32frombits(c)})
	})
}

func TestMatrix(t *testing.T) {
	src, q, scales, back := []float32{1, 2, 127, 0, 254, -2}, make([]int8, 6), make([]float32, 2), make([]float32, 6)
	Matrix(q, scales, src, 3)
	Widen(back, q)
	for i, v := range src {
		if back[i]*scales[i/3] != v {
			t.Errorf("%v becomes %v times %v", v, back[i], scales[i/3])
		}
	}
	for _, f := range []func(){
		func() { Matrix(q[:5], scales, src, 3) }, func() { Matrix(q, scales[:1], src, 3) },
		func() { Row(q, src[:2]) }, func() { Widen(back, q[:2]) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("lengths that do not match: no panic")
				}
			}()
			f()
		}()
	}
}
