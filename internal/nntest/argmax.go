package nntest

import "math"

// argMaxCases are cases of [nn.ArgMax].
func argMaxCases() []Case {
	argmax := func(shape string, n, d, v int) Case {
		return Case{Op: "ArgMax", Shape: shape,
			Build: func(b *Builder) {
				h, w := b.Param("h", -1, 1, n, d), b.Param("w", -1, 1, v, d)
				// Multiples of 1/4 are exact in every order of summation, and make many ties: the first counts.
				quantise(h.Param().Data)
				quantise(w.Param().Data)
				b.Output(b.Graph.ArgMax(h, w))
			},
			Reference: func(x Values) [][]float64 {
				var ids []float64
				for r := range n {
					ids = append(ids, float64(argMax(times(x.F("h")[r*d:(r+1)*d], d, x.F("w"), d, 0, 0, v))))
				}
				return [][]float64{ids}
			}}
	}
	return []Case{
		argmax("1x1x1", 1, 1, 1), argmax("9x3x40", 9, 3, 40), argmax("ties 33x1x70", 33, 1, 70),
		argmax("chunks of the vocabulary 4200x2x1100", 4200, 2, 1100),
	}
}

func quantise(x []float32) {
	for i := range x {
		x[i] = float32(math.Round(4*float64(x[i])) / 4)
	}
}
