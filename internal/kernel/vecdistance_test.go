package kernel

import (
	"fmt"
	"slices"
	"testing"
)

// fillNormal fills x with normal numbers.
func fillNormal(x []float32, seed uint64) {
	rng := newRand(seed)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
}

// rowShapes calls f with numbers of rows, widths and strides.
func rowShapes(f func(rows, width, stride int)) {
	for _, rows := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 100} {
		for _, width := range []int{0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 130} {
			f(rows, width, width)
			f(rows, width, width+5)
		}
	}
}

func rowsLen(rows, width, stride int) int {
	if rows == 0 {
		return 0
	}
	return (rows-1)*stride + width
}

func TestDistanceSquares(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, p := range places() {
			rowShapes(func(rows, width, stride int) {
				d, x, y := p.make(rows), p.make(rowsLen(rows, width, stride)), p.make(width)
				defer d.free()
				defer x.free()
				defer y.free()
				fillNormal(x.data, 1)
				fillNormal(y.data, 2)
				s.DistanceSquares(d.data, x.data, stride, y.data)
				want := make([]float64, rows)
				alone := make([]float32, 1)
				for n := range want {
					row := x.data[n*stride:][:width]
					for z, v := range y.data {
						u := float64(row[z]) - float64(v)
						want[n] += u * u
					}
					s.DistanceSquares(alone, row, stride, y.data)
					if alone[0] != d.data[n] {
						t.Fatalf("rows=%d width=%d: row %d alone gives %v, among others %v", rows, width, n, alone[0], d.data[n])
					}
				}
				where := fmt.Sprintf("rows=%d width=%d stride=%d %s", rows, width, stride, p.name)
				compareFloats(t, where, d.data, want, 1e-6)
				if !d.intact() || !x.intact() || !y.intact() {
					t.Fatalf("%s: wrote outside", where)
				}
			})
		}
	})
}

// TestDistanceOfNearPoints: the distance of near points is exact. A kernel that used the Gram matrix would lose it to
// rounding.
func TestDistanceOfNearPoints(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		x, y := make([]float32, 64), make([]float32, 64)
		for i := range x {
			x[i] = 100
			y[i] = 100 + 0x1p-16
		}
		d := make([]float32, 1)
		s.DistanceSquares(d, x, 64, y)
		if d[0] != 64*0x1p-32 {
			t.Errorf("distance squared is %v, want %v", d[0], 64*0x1p-32)
		}
	})
}

func TestAccumulateDifferences(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, p := range places() {
			rowShapes(func(rows, width, stride int) {
				g, x, y, c := p.make(width), p.make(width), p.make(rowsLen(rows, width, stride)), p.make(rows)
				for i, b := range []*buffer{g, x, y, c} {
					defer b.free()
					fillNormal(b.data, uint64(i))
				}
				want := widen(g.data)
				for n := range rows {
					for z, v := range y.data[n*stride:][:width] {
						want[z] += float64(c.data[n]) * (float64(x.data[z]) - float64(v))
					}
				}
				before := slices.Clone(y.data)
				s.AccumulateDifferences(g.data, x.data, y.data, stride, c.data)
				where := fmt.Sprintf("rows=%d width=%d stride=%d %s", rows, width, stride, p.name)
				compareFloats(t, where, g.data, want, 1e-5)
				if !g.intact() || !x.intact() || !y.intact() || !c.intact() || !sameBits(y.data, before) {
					t.Fatalf("%s: wrote outside", where)
				}
			})
		}
	})
}

// TestRootsOfZero: the factor of a distance of 0 is 0, and NaN is not lost.
func TestRootsOfZero(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, n := range []int{1, 8, 19, 64} {
			x := make([]float32, n)
			if sum := s.Roots(x, x, 3); sum != 0 || !sameBits(x, make([]float32, n)) {
				t.Errorf("roots of %d zeros: %v, sum %v", n, x, sum)
			}
			x[n-1] = nan32
			if sum := s.Roots(x, x, 3); sum == sum || x[n-1] == x[n-1] {
				t.Errorf("root of NaN: %v, sum %v", x[n-1], sum)
			}
		}
	})
}

func TestRotary(t *testing.T) {
	forEachISA(t, func(t *testing.T, s ISA) {
		for _, p := range places() {
			for _, h := range testLengths() {
				dst, x, cos, sin := p.make(2*h), p.make(2*h), p.make(h), p.make(h)
				for i, b := range []*buffer{x, cos, sin} {
					defer b.free()
					fillNormal(b.data, uint64(i))
				}
				defer dst.free()
				for i := range dst.data {
					dst.data[i] = nan32
				}
				want := make([]float64, 2*h)
				for i := range h {
					a, b, c, z := float64(x.data[i]), float64(x.data[h+i]), float64(cos.data[i]), float64(sin.data[i])
					want[i], want[h+i] = a*c-b*z, b*c+a*z
				}
				s.Rotary(dst.data, x.data, cos.data, sin.data)
				where := fmt.Sprintf("d=%d %s", 2*h, p.name)
				compareFloats(t, where, dst.data, want, 1e-6)
				s.Rotary(x.data, x.data, cos.data, sin.data)
				if !sameBits(x.data, dst.data) {
					t.Fatalf("%s: the result in place differs", where)
				}
				if !dst.intact() || !x.intact() || !cos.intact() || !sin.intact() {
					t.Fatalf("%s: wrote outside", where)
				}
			}
		}
	})
}
