package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/calm-go/calm/internal/bfloat16"
)

// bf16Input returns n bfloat16 at a place, their values as float32, and a function that reports whether they are
// unchanged.
func bf16Input(p place, seed uint64, n int) (half []uint16, full []float32, same func() bool, free func()) {
	b := p.make((n + 1) / 2)
	words := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(b.data))), (n+1)/2*2)
	half = words[n%2:] // so that they end where the place does
	r := newRand(seed)
	full = make([]float32, n)
	for i := range half {
		half[i] = bfloat16.FromFloat32(float32(r.NormFloat64()))
		full[i] = bfloat16.ToFloat32(half[i])
	}
	before := slices.Clone(half)
	return half, full, func() bool { return slices.Equal(before, half) && b.intact() }, b.free
}

// TestRoundRowsBF16: the assembly gives what bfloat16.FromFloat32 gives.
func TestRoundRowsBF16(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, n := range append(testLengths(), 20000) {
			for _, p := range places() {
				src, _ := gemmInput(p, 1, n)
				r := newRand(2)
				for i := range src.data {
					switch bits := r.Uint32(); i % 3 {
					case 0:
						src.data[i] = math.Float32frombits(bits)
					case 1:
						src.data[i] = math.Float32frombits(bits&0xffff0000 | 0x8000)
					}
				}
				dst, _, _, free := bf16Input(p, 1, n)
				s.RoundBF16(dst, src.data)
				if !src.intact() {
					t.Fatalf("%s: rounding %d writes outside", p.name, n)
				}
				for i, v := range src.data {
					if dst[i] != bfloat16.FromFloat32(v) {
						t.Fatalf("%s: %v of %d becomes %#x, want %#x", p.name, v, n, dst[i], bfloat16.FromFloat32(v))
					}
				}
				free()
				src.free()
			}
		}
	})
}

func TestWidenBF16(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, n := range testLengths() {
			for _, p := range places() {
				half, full, same, free := bf16Input(p, 1, n)
				dst := gemmOutput(p, n, false)
				s.WidenBF16(dst.data, half)
				if !same() || !dst.intact() || !slices.Equal(dst.data, full) {
					t.Fatalf("%s: widening %d is wrong", p.name, n)
				}
				free()
				dst.free()
			}
		}
		special := []uint16{0, 0x8000, 1, 0x8001, 0x7f80, 0xff80, 0x7fc1, 0x7f81, 0x3f80, 0xbf80, 0x7f7f, 0x0080, 2, 3, 4, 5}
		dst := make([]float32, len(special))
		s.WidenBF16(dst, special)
		for i, h := range special {
			if math.Float32bits(dst[i]) != uint32(h)<<16 {
				t.Errorf("%#x widens to %#x", h, math.Float32bits(dst[i]))
			}
		}
	})
}

// TestDotRowsBF16: bit for bit what the same numbers give in float32, which TestDotRows compares with the definition.
func TestDotRowsBF16(t *testing.T) {
	lengths := append(testLengths(), 512, 513, 1100)
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, k := range lengths {
			for m := 1; m <= 17; m++ {
				for i, p := range places() {
					testDotRowsBF16(t, s, p, m, 1+(m+k+i)%20, k, (m+k)%2 == 0)
				}
			}
		}
	})
}

func testDotRowsBF16(t *testing.T, s ISA, p place, m, n, k int, accumulate bool) {
	ldx, ldw, ldy := k+1, k+2, n+3
	x, xSame := gemmInput(p, 6, max(0, (m-1)*ldx+k))
	half, full, wSame, free := bf16Input(p, 7, max(0, (n-1)*ldw+k))
	y := gemmOutput(p, (m-1)*ldy+n, accumulate)
	defer x.free()
	defer free()
	defer y.free()
	want := slices.Clone(y.data)
	what := fmt.Sprintf("%s, m=%d n=%d k=%d accumulate=%t", p.name, m, n, k, accumulate)
	scratch := gemmOutput(p, DotScratch(m, k), false)
	defer scratch.free()
	s.DotRowsBF16(m, n, k, x.data, ldx, half, ldw, y.data, ldy, accumulate, scratch.data)
	s.DotRows(m, n, k, x.data, ldx, full, ldw, want, ldy, accumulate, nil)
	if !y.intact() || !xSame() || !wSame() || !scratch.intact() {
		t.Fatalf("%s: wrote outside of Y", what)
	}
	if !sameBits(y.data, want) {
		t.Fatalf("%s: not what float32 gives", what)
	}
}

func TestPackColumnsBF16(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		_, cols := s.GemmTile()
		for _, k := range []int{1, 2, 7, 8, 9, 16, 23, 40} {
			for n := 1; n <= 2*cols+9; n++ {
				for _, p := range places() {
					ld, panel := k+2, k*cols+5
					half, full, same, free := bf16Input(p, 4, (n-1)*ld+k)
					dst := gemmOutput(p, (n-1)/cols*panel+k*cols, true)
					want := slices.Clone(dst.data)
					s.PackColumnsBF16(dst.data, panel, half, ld, n, k, make([]float32, cols*k))
					s.PackColumns(want, panel, full, ld, n, k)
					if !dst.intact() || !same() || !slices.Equal(dst.data, want) {
						t.Fatalf("%s n=%d k=%d: not what float32 gives", p.name, n, k)
					}
					free()
					dst.free()
				}
			}
		}
	})
}
