package random

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

var testStream = Stream{Seed: 0x0123456789ABCDEF, Draw: 0xFEDCBA98, Step: 0x89ABCDEF01234567}

// TestPhilox holds the known answers of Random123 (kat_vectors, philox4x32 10).
func TestPhilox(t *testing.T) {
	const ones = 0xFFFFFFFF
	cases := []struct {
		counter [4]uint32
		key     uint64
		want    [4]uint32
	}{
		{[4]uint32{}, 0, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{ones, ones, ones, ones}, math.MaxUint64, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0_a4093822,
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	}
	for _, c := range cases {
		st := Stream{Seed: c.key, Draw: c.counter[1], Step: uint64(c.counter[3])<<32 | uint64(c.counter[2])}
		if got := st.block(c.counter[0]); got != c.want {
			t.Errorf("philox(%#x, %#x) = %#x, want %#x", c.counter, c.key, got, c.want)
		}
	}
}

// TestBoxMullerEdges tries extreme bits, which random tests rarely reach.
func TestBoxMullerEdges(t *testing.T) {
	edges := []uint32{0, 1, 2, 3, 1<<29 - 1, 1 << 29, 1<<29 + 1, 1 << 30, 3 << 29, 1 << 31, 5 << 29, 3 << 30, 7 << 29,
		1<<31 - 1, 1<<32 - 1, 1<<32 - 2, 1<<32 - 200, 0xB504F300, 0x5A827980}
	for _, x := range edges {
		for _, y := range edges {
			u := min((float64(x>>1)+.5)*0x1p-31, 1)
			sin, cos := math.Sincos(2 * math.Pi * float64(y) * 0x1p-32)
			radius := math.Sqrt(-2 * math.Log(u))
			n0, n1 := boxMuller(x, y)
			// Near u = 1 the spacing of u limits the radius.
			tol := 2e-6 + math.Min(math.Sqrt(0x1p-23), 0x1p-24/max(radius, 1e-9))
			if math.Abs(float64(n0)-radius*cos) > tol || math.Abs(float64(n1)-radius*sin) > tol {
				t.Errorf("boxMuller(%#x, %#x) = %v, %v, want %v, %v", x, y, n0, n1, radius*cos, radius*sin)
			}
		}
	}
}

// TestStreamsDiffer: streams that differ in a bit or two have no more numbers in common than chance allows.
func TestStreamsDiffer(t *testing.T) {
	const n = 4096
	seen := map[uint64]string{}
	streams := []Stream{{}, {Seed: 1}, {Seed: 1 << 32}, {Draw: 1}, {Step: 1}, {Step: 1 << 32}, {Seed: 1, Draw: 1}, {Draw: 1, Step: 1}}
	for _, st := range streams {
		for i := range uint64(n) {
			v := uint64(st.Uint32(2*i))<<32 | uint64(st.Uint32(2*i+1))
			if other, ok := seen[v]; ok {
				t.Fatalf("%v and %s share %#x", st, other, v)
			}
			seen[v] = fmt.Sprint(st)
		}
	}
	if len(seen) != n*len(streams) {
		t.Errorf("%d numbers, want %d", len(seen), n*len(streams))
	}
}

func TestFloat64(t *testing.T) {
	const n = 1 << 16
	var sum, squares float64
	seen := map[float64]bool{}
	for i := range uint64(n) {
		v := testStream.Float64(i)
		if v < 0 || v >= 1 {
			t.Fatalf("Float64(%d) = %v", i, v)
		}
		sum += v
		squares += v * v
		seen[v] = true
	}
	if m, v := sum/n, squares/n; math.Abs(m-.5) > 5*math.Sqrt(1./12/n) || math.Abs(v-1./3) > .006 || len(seen) != n {
		t.Errorf("mean %v, mean square %v, %d different numbers of %d", m, v, len(seen), n)
	}
}

// TestParts: a number does not depend on the part of the stream that is filled, and is made of the bits of Uint32. The
// suite of internal/kernel compares distributions, on every instruction set and for this package.
func TestParts(t *testing.T) {
	fills := map[string]func(dst []float32, offset int){
		"uniform":   func(dst []float32, offset int) { Uniform(dst, testStream, offset, -1, 3) },
		"normal":    func(dst []float32, offset int) { Normal(dst, testStream, offset) },
		"bernoulli": func(dst []float32, offset int) { Bernoulli(dst, testStream, offset, .25, 3) },
		"integers":  func(dst []float32, offset int) { Integers(dst, testStream, offset, 1000) },
	}
	made := map[string]func(bits uint32) float32{
		"uniform":  func(bits uint32) float32 { return float32(bits>>8)*0x1p-22 - 1 },
		"integers": func(bits uint32) float32 { return float32(math.Floor(float64(bits>>8) * 1000 * 0x1p-24)) },
		"bernoulli": func(bits uint32) float32 {
			if bits < 1<<30 {
				return 3
			}
			return 0
		},
	}
	for name, fill := range fills {
		for _, base := range []int{0, 1<<32 - 320, Size - 640} {
			whole := make([]float32, 640)
			fill(whole, base)
			for _, at := range []int{0, 1, 63, 64, 65, 200} {
				for _, n := range []int{0, 1, 63, 64, 65, 129, 440} {
					part := make([]float32, n)
					fill(part, base+at)
					if !slices.Equal(part, whole[at:at+n]) {
						t.Fatalf("%s: %d numbers from %d+%d on differ from those of the whole", name, n, base, at)
					}
				}
			}
			for i, v := range whole {
				bits := testStream.Uint32(uint64(base + i))
				if f := made[name]; f != nil && v != f(bits) {
					t.Fatalf("%s: number %d is %v, its bits are %#x", name, base+i, v, bits)
				}
			}
		}
	}
}

func TestBadArgumentsPanic(t *testing.T) {
	x := make([]float32, 8)
	for name, call := range map[string]func(){
		"end":          func() { Normal(x, Stream{}, Size-7) },
		"index":        func() { Stream{}.Uint32(Size) },
		"float64":      func() { Stream{}.Float64(Size / 2) },
		"offset":       func() { Normal(x, Stream{}, -1) },
		"empty":        func() { Uniform(x, Stream{}, 0, 1, 1) },
		"infinite":     func() { Uniform(x, Stream{}, 0, -math.MaxFloat32, math.MaxFloat32) },
		"probability":  func() { Bernoulli(x, Stream{}, 0, 1.5, 1) },
		"not a number": func() { Bernoulli(x, Stream{}, 0, float32(math.NaN()), 1) },
		"no integers":  func() { Integers(x, Stream{}, 0, 0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}

func TestNothingAllocates(t *testing.T) {
	x := make([]float32, 100)
	allocs := testing.AllocsPerRun(10, func() {
		Uniform(x, testStream, 7, 0, 1)
		Normal(x, testStream, 7)
		Bernoulli(x, testStream, 7, .5, 1)
		Integers(x, testStream, 7, 10)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestID pins the numbers of streams: existing runs resume with them.
func TestID(t *testing.T) {
	if got := ID("head.noise"); got != 0xe9d5c683 {
		t.Errorf("ID = %#x", got)
	}
}
