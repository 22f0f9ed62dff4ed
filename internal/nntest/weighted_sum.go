package nntest

import "fmt"

// weightedSumCases are cases of [nn.WeightedSum].
func weightedSumCases() []Case {
	var cases []Case
	for _, n := range [][]int{{1}, {5, 7}, {3, 3001}} {
		cases = append(cases, Case{Op: "WeightedSum", Shape: fmt.Sprint(n), Tolerance: 1e-4, // a sum near zero of large summands
			Build: func(b *Builder) {
				b.Loss(b.Graph.WeightedSum(b.Param("x", 1, 2, n...), b.Input("w", 0, 1, n...)), .5)
			},
			Reference: func(v Values) [][]float64 {
				sum := 0.
				for i, x := range v.F("x") {
					sum += x * v.F("w")[i]
				}
				return [][]float64{{sum}}
			}})
	}
	return cases
}
