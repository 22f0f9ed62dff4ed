package nntest

import "fmt"

// swiGLUCases are cases of [nn.SwiGLU].
func swiGLUCases() []Case {
	var cases []Case
	for _, n := range [][]int{{1}, {5, 7}, {3, 3001}, {512, 640}} {
		cases = append(cases, Case{Op: "SwiGLU", Shape: fmt.Sprint(n),
			Build: func(b *Builder) {
				b.Differentiate(b.Graph.SwiGLU(b.Param("gate", -8, 8, n...), b.Param("up", -2, 2, n...)))
			},
			Reference: func(v Values) [][]float64 {
				return [][]float64{mul(apply(silu, v.F("gate")), v.F("up"))}
			}})
	}
	return append(cases[:3:3], cases[3].benchmark())
}
