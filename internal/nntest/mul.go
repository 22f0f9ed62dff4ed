package nntest

import "fmt"

// mulCases are cases of [nn.Mul].
func mulCases() []Case {
	var cases []Case
	for _, n := range [][]int{{1}, {5, 7}, {3, 3001}} {
		cases = append(cases, Case{Op: "Mul", Shape: fmt.Sprint(n),
			Build: func(b *Builder) {
				b.Differentiate(b.Graph.Mul(b.Param("x", -2, 2, n...), b.Detached("factor", -2, 2, n...)))
			},
			Reference: func(v Values) [][]float64 {
				return [][]float64{mul(v.F("x"), v.F("factor"))}
			}})
	}
	return cases
}
