package nntest

import "fmt"

// modulateCases are cases of [nn.Modulate].
func modulateCases() []Case {
	of := func(n, m, d int) Case {
		return Case{Op: "Modulate", Shape: fmt.Sprintf("%dx%d by %d", n, d, m),
			Build: func(b *Builder) {
				b.Differentiate(b.Graph.Modulate(b.Param("x", -2, 2, n, d), b.Param("shift", -1, 1, m, d), b.Param("scale", -1, 1, m, d)))
			},
			Reference: func(v Values) [][]float64 {
				return [][]float64{modulate(v.F("x"), v.F("shift"), v.F("scale"))}
			}}
	}
	return []Case{of(1, 1, 1), of(7, 7, 5), of(12, 4, 19), of(300, 60, 65), of(66, 1, 130), of(1024, 1024, 128).benchmark()}
}

func modulate(x, shift, scale []float64) []float64 {
	return plus(mul(x, repeatTo(plus(ones(len(scale)), scale), len(x))), shift)
}
