package kernel

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"unsafe"
)

// int8Input returns n numbers in int8 at a place, their values as float32, and a function that reports whether they are
// unchanged.
func int8Input(p place, seed uint64, n int) (narrow []int8, full []float32, same func() bool, free func()) {
	b := p.make((n + 3) / 4)
	bytes := unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(b.data))), (n+3)/4*4)
	narrow = bytes[len(bytes)-n:] // so that they end where the place does
	r := newRand(seed)
	full = make([]float32, n)
	for i := range narrow {
		narrow[i] = int8(r.IntN(256) - 128)
		full[i] = float32(narrow[i])
	}
	before := slices.Clone(narrow)
	return narrow, full, func() bool { return slices.Equal(before, narrow) && b.intact() }, b.free
}

func TestWidenInt8(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, n := range append(testLengths(), 20000) {
			for _, p := range places() {
				narrow, full, same, free := int8Input(p, 1, n)
				dst := gemmOutput(p, n, false)
				s.WidenInt8(dst.data, narrow)
				if !same() || !dst.intact() || !slices.Equal(dst.data, full) {
					t.Fatalf("%s: widening %d is wrong", p.name, n)
				}
				free()
				dst.free()
			}
		}
	})
}

// TestDotRowsInt8 compares with float64 sums. A row's result must not depend on the other rows, nor on those of W.
func TestDotRowsInt8(t *testing.T) {
	lengths := append(testLengths(), 95, 96, 127, 128, 129, 512, 513, 1100)
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, k := range lengths {
			for m := 1; m <= 13; m++ {
				for i, p := range places() {
					testDotRowsInt8(t, s, p, m, 1+(m+k+i)%11, k, (m+k)%2 == 0)
				}
			}
		}
	})
}

func testDotRowsInt8(t *testing.T, s ISA, p place, m, n, k int, accumulate bool) {
	ldx, ldw, ldy := k+1, k+2, n+3
	x, xSame := gemmInput(p, 6, max(0, (m-1)*ldx+k))
	narrow, _, wSame, free := int8Input(p, 7, max(0, (n-1)*ldw+k))
	y := gemmOutput(p, (m-1)*ldy+n, accumulate)
	defer x.free()
	defer free()
	defer y.free()
	before := slices.Clone(y.data)
	what := fmt.Sprintf("%s, m=%d n=%d k=%d accumulate=%t", p.name, m, n, k, accumulate)
	s.DotRowsInt8(m, n, k, x.data, ldx, narrow, ldw, y.data, ldy, accumulate)
	if !y.intact() || !xSame() || !wSame() {
		t.Fatalf("%s: wrote outside of Y", what)
	}
	for at, got := range y.data {
		i, j := at/ldy, at%ldy
		if j >= n {
			if math.Float32bits(got) != math.Float32bits(before[at]) {
				t.Fatalf("%s: wrote between the rows of Y", what)
			}
			continue
		}
		var terms []float64
		if accumulate {
			terms = append(terms, float64(before[at]))
		}
		for l := range k {
			terms = append(terms, float64(x.data[i*ldx+l])*float64(narrow[j*ldw+l]))
		}
		checkSum(t, fmt.Sprintf("%s: (%d, %d)", what, i, j), got, terms...)
		if one := []float32{before[at]}; k > 0 && at%3 == 0 {
			s.DotRowsInt8(1, 1, k, x.data[i*ldx:], ldx, narrow[j*ldw:], ldw, one, 1, accumulate)
			if one[0] != got {
				t.Fatalf("%s: element (%d, %d) alone is %v, not %v", what, i, j, one[0], got)
			}
		}
	}
}

func TestPackColumnsInt8(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		_, cols := s.GemmTile()
		for _, k := range []int{1, 2, 7, 8, 9, 16, 23, 40} {
			for n := 1; n <= 2*cols+9; n++ {
				for _, p := range places() {
					ld, panel := k+2, k*cols+5
					narrow, full, same, free := int8Input(p, 4, (n-1)*ld+k)
					dst := gemmOutput(p, (n-1)/cols*panel+k*cols, true)
					want := slices.Clone(dst.data)
					s.PackColumnsInt8(dst.data, panel, narrow, ld, n, k, make([]float32, cols*k))
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

// FuzzDotRowsInt8 compares products of any bits with float64: both NaN or infinite, or the same to rounding.
func FuzzDotRowsInt8(f *testing.F) {
	f.Add(uint8(5), uint8(9), uint16(1), uint64(1), uint32(0x7f800000))
	f.Add(uint8(1), uint8(3), uint16(130), uint64(2), uint32(1))
	f.Add(uint8(16), uint8(1), uint16(511), uint64(2), uint32(0x7f7fffff))
	f.Fuzz(func(t *testing.T, rows, cols uint8, depth uint16, seed uint64, bits uint32) {
		m, n, k := int(rows)%20+1, int(cols)%20+1, int(depth)%600+1
		for _, s := range Available() {
			r := newRand(seed)
			x, w, y := make([]float32, m*k), make([]int8, n*k), make([]float32, m*n)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			for i := range w {
				w[i] = int8(r.IntN(256) - 128)
			}
			x[r.IntN(len(x))] = math.Float32frombits(bits)
			s.DotRowsInt8(m, n, k, x, k, w, k, y, n, false)
			for i, got := range y {
				var sum, size float64
				for l := range k {
					v := float64(x[i/n*k+l]) * float64(w[i%n*k+l])
					sum += v
					size += math.Abs(v)
				}
				if size != size || size > math.MaxFloat32/2 {
					if size != size && got == got {
						t.Fatalf("%v: element %d is %v, want NaN", s, i, got)
					}
					continue
				}
				if d := math.Abs(float64(got) - sum); !(d <= size*float64(k+1)*0x1p-24+float64(k)*0x1p-149) {
					t.Fatalf("%v: element %d of %dx%dx%d is %v, want %v", s, i, m, n, k, got, sum)
				}
			}
		}
	})
}
