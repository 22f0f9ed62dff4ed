package kernel

// DistanceSquares sets d[n] = sum over z of (x[n*ldx+z] - y[z])^2 for n < len(d), z < len(y). The differences are formed
// one by one: through the Gram matrix they would drown in rounding when the points lie close together.
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

// AccumulateDifferences sets g[n*ldg+z] += c[n] * (x[n*ldx+z] - y[z]) for n < len(c), z < len(y): the gradient of
// sum over n of c[n]/2 * |x[n] - y|^2 with respect to x.
func (s ISA) AccumulateDifferences(g []float32, ldg int, x []float32, ldx int, y []float32, c []float32) {
	checkRows("AccumulateDifferences", "g", len(g), len(c), ldg, len(y))
	checkRows("AccumulateDifferences", "x", len(x), len(c), ldx, len(y))
	switch s {
	case AVX512:
		accumulateDifferencesAVX512(g, ldg, x, ldx, y, c)
	case AVX2:
		accumulateDifferencesAVX2(g, ldg, x, ldx, y, c)
	default:
		accumulateDifferencesGo(g, ldg, x, ldx, y, c)
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

func accumulateDifferencesGo(g []float32, ldg int, x []float32, ldx int, y []float32, c []float32) {
	for n, c := range c {
		xn, gn := x[n*ldx:][:len(y)], g[n*ldg:][:len(y)]
		for z, v := range y {
			gn[z] += c * (xn[z] - v)
		}
	}
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
