package kernel

import "math"

// Sums run in several partial sums whose number depends on the instruction set, so that their rounding error grows with
// the length divided by that number.

// Dot returns the sum of a * b.
func (s ISA) Dot(a, b []float32) float32 {
	checkLen("Dot", "b", len(b), len(a))
	switch s {
	case AVX512:
		return dotAVX512(a, b)
	case AVX2:
		return dotAVX2(a, b)
	default:
		return dotGo(a, b)
	}
}

// Sum returns the sum of x.
func (s ISA) Sum(x []float32) float32 {
	switch s {
	case AVX512:
		return sumAVX512(x)
	case AVX2:
		return sumAVX2(x)
	default:
		return sumGo(x)
	}
}

// SumSquares returns the sum of x^2.
func (s ISA) SumSquares(x []float32) float32 {
	return s.sumSquares(x, 0)
}

// sumSquares returns the sum of (x-shift)^2.
func (s ISA) sumSquares(x []float32, shift float32) float32 {
	switch s {
	case AVX512:
		return sumSquaresAVX512(x, shift)
	case AVX2:
		return sumSquaresAVX2(x, shift)
	default:
		return sumSquaresGo(x, shift)
	}
}

// Max returns the largest element of x: NaN if any is NaN, -Inf if there is none.
func (s ISA) Max(x []float32) float32 {
	var largest float32
	var doubled uint32 // twice the bits, as integers: above those of infinity if and only if there is a NaN
	switch s {
	case AVX512:
		largest, doubled = maxAVX512(x)
	case AVX2:
		largest, doubled = maxAVX2(x)
	default:
		return maxGo(x)
	}
	if doubled > 0xFF000000 {
		return float32(math.NaN())
	}
	return largest
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
	switch s {
	case AVX512:
		return indexOfAVX512(x, v)
	case AVX2:
		return indexOfAVX2(x, v)
	default:
		return indexOfGo(x, v)
	}
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
