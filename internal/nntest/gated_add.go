package nntest

import "fmt"

// gatedAddCases are cases of [nn.GatedAdd].
func gatedAddCases() []Case {
	of := func(n, m, d int) Case {
		return Case{Op: "GatedAdd", Shape: fmt.Sprintf("%dx%d by %d", n, d, m),
			Build: func(b *Builder) {
				b.Differentiate(b.Graph.GatedAdd(b.Param("x", -2, 2, n, d), b.Param("gate", -1, 1, m, d), b.Param("h", -2, 2, n, d)))
			},
			Reference: func(v Values) [][]float64 {
				return [][]float64{gatedAdd(v.F("x"), v.F("gate"), v.F("h"))}
			}}
	}
	return []Case{of(1, 1, 1), of(7, 7, 5), of(12, 4, 19), of(300, 60, 65), of(66, 1, 130), of(1024, 1024, 128).benchmark()}
}

func gatedAdd(x, gate, h []float64) []float64 { return plus(x, mul(repeatTo(gate, len(h)), h)) }
