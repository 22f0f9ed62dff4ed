package kernel

import "math"

// DistanceSquares sets d[n] = sum over z of (x[n*ldx+z] - y[z])^2 for n < len(d), z < len(y). The differences are formed
// one by one: computed through the Gram matrix, distances of close points would be lost to rounding.
func (s ISA) DistanceSquares(d []float32, x []float32, ldx int, y []float32) {
	checkRows("DistanceSquares", "x", len(x), len(d), ldx, len(y))
	switch s {
	case AVX512:
		distanceSquaresAVX512(d, x, ldx, y)
	case AVX2:
		distanceSquaresAVX2(d, x, ldx, y)
	default:
		distanceSquaresGo(d, x, ldx, y)
	}
}

// AccumulateDifferences sets g[z] += sum over n of c[n] * (x[z] - y[n*ldy+z]) for n < len(c), z < len(g): the gradient of
// sum over n of c[n]/2 * |x - y[n]|^2 with respect to x.
func (s ISA) AccumulateDifferences(g, x, y []float32, ldy int, c []float32) {
	checkLen("AccumulateDifferences", "x", len(x), len(g))
	checkRows("AccumulateDifferences", "y", len(y), len(c), ldy, len(g))
	switch s {
	case AVX512:
		accumulateDifferencesAVX512(g, x, y, ldy, c)
	case AVX2:
		accumulateDifferencesAVX2(g, x, y, ldy, c)
	default:
		accumulateDifferencesGo(g, x, y, ldy, c)
	}
}

// Roots sets dst = c / sqrt(x), 0 where x is 0, and returns the sum of sqrt(x). From squared distances x it gives the
// sum of distances and the factors of its gradient. dst may be x.
func (s ISA) Roots(dst, x []float32, c float32) float32 {
	checkLen("Roots", "x", len(x), len(dst))
	switch s {
	case AVX512:
		return rootsAVX512(dst, x, c)
	case AVX2:
		return rootsAVX2(dst, x, c)
	default:
		return rootsGo(dst, x, c)
	}
}

func distanceSquaresGo(d []float32, x []float32, ldx int, y []float32) {
	for n := range d {
		row := x[n*ldx:][:len(y)]
		var p [lanes]float32
		for z, v := range y {
			u := row[z] - v
			p[z%lanes] += u * u
		}
		d[n] = addLanes(&p)
	}
}

func accumulateDifferencesGo(g, x, y []float32, ldy int, c []float32) {
	for n, c := range c {
		row := y[n*ldy:][:len(g)]
		for z, v := range row {
			g[z] += c * (x[z] - v)
		}
	}
}

func rootsGo(dst, x []float32, c float32) float32 {
	var p [lanes]float32
	for i, v := range x {
		root := float32(math.Sqrt(float64(v)))
		p[i%lanes] += root
		dst[i] = 0
		if !(v <= 0) {
			dst[i] = c / root
		}
	}
	return addLanes(&p)
}

// checkRows panics unless a slice of length have holds rows of the given width that start stride apart.
func checkRows(op, name string, have, rows, stride, width int) {
	if rows == 0 {
		return
	}
	if stride < width {
		panicLen(op, "the row stride of "+name, stride, width)
	}
	if need := (rows-1)*stride + width; have < need {
		panicLen(op, name, have, need)
	}
}
