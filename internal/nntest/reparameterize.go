package nntest

import (
	"fmt"
	"math"
)

// reparameterizeCases are cases of [nn.Reparameterize].
func reparameterizeCases() []Case {
	var cases []Case
	for _, n := range [][]int{{1}, {5, 7}, {3, 3001}, {512, 64}} {
		cases = append(cases, Case{Op: "Reparameterize", Shape: fmt.Sprint(n),
			Build: func(b *Builder) {
				mean, logStd := b.Param("mean", -2, 2, n...), b.Param("log_std", -3, 1, n...)
				b.Differentiate(b.Graph.Reparameterize(mean, logStd, b.Random("eps", -2, 2, n...)))
			},
			Reference: func(v Values) [][]float64 {
				return [][]float64{reparameterize(v.F("mean"), v.F("log_std"), v.F("eps"))}
			}})
	}
	return append(cases[:3:3], cases[3].benchmark())
}

func reparameterize(mean, logStd, eps []float64) []float64 {
	return plus(mean, mul(apply(math.Exp, logStd), eps))
}
