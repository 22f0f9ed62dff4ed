package kernel

import "math"

// Sums run in several partial sums whose number depends on the instruction set, so that their rounding error grows with
// the length divided by that number.

// Dot returns the sum of a * b.
func (s ISA) Dot(a, b []float32) float32 {
	checkLen("Dot", "b", len(b), len(a))
	return dotGo(a, b)
}

// Sum returns the sum of x.
func (s ISA) Sum(x []float32) float32 {
	return sumGo(x)
}

// SumSquares returns the sum of x^2.
func (s ISA) SumSquares(x []float32) float32 {
	return s.sumSquares(x, 0)
}

// sumSquares returns the sum of (x-shift)^2.
func (s ISA) sumSquares(x []float32, shift float32) float32 {
	return sumSquaresGo(x, shift)
}

// Max returns the largest element of x: NaN if any is NaN, -Inf if there is none.
func (s ISA) Max(x []float32) float32 {
	return maxGo(x)
}

// ArgMax returns the first of the largest elements of x and its value. A NaN counts as larger than any number; without
// elements the index is -1.
func (s ISA) ArgMax(x []float32) (index int, value float32) {
	value = s.Max(x)
	if value != value {
		for i, v := range x {
			if v != v {
				return i, v
			}
		}
	}
	return s.indexOf(x, value), value
}

// indexOf returns the first i with x[i] == v, -1 if there is none.
func (s ISA) indexOf(x []float32, v float32) int {
	return indexOfGo(x, v)
}

// lanes is the number of partial sums of the portable kernels.
const lanes = 8

func addLanes(p *[lanes]float32) float32 {
	return ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]))
}

func dotGo(a, b []float32) float32 {
	b = b[:len(a)]
	var p [lanes]float32
	for len(a) >= lanes {
		u, v := (*[lanes]float32)(a), (*[lanes]float32)(b)
		for j := range u {
			p[j] += u[j] * v[j]
		}
		a, b = a[lanes:], b[lanes:]
	}
	for j := range a {
		p[j] += a[j] * b[j]
	}
	return addLanes(&p)
}

func sumGo(x []float32) float32 {
	var p [lanes]float32
	for len(x) >= lanes {
		u := (*[lanes]float32)(x)
		for j := range u {
			p[j] += u[j]
		}
		x = x[lanes:]
	}
	for j := range x {
		p[j] += x[j]
	}
	return addLanes(&p)
}

func sumSquaresGo(x []float32, shift float32) float32 {
	var p [lanes]float32
	for len(x) >= lanes {
		u := (*[lanes]float32)(x)
		for j := range u {
			d := u[j] - shift
			p[j] += d * d
		}
		x = x[lanes:]
	}
	for j := range x {
		d := x[j] - shift
		p[j] += d * d
	}
	return addLanes(&p)
}

func maxGo(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if !(v <= m) {
			if v != v {
				return v
			}
			m = v
		}
	}
	return m
}

func indexOfGo(x []float32, v float32) int {
	for i := range x {
		if x[i] == v {
			return i
		}
	}
	return -1
}
