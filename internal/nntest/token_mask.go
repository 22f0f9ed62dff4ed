package nntest

import "math"

// tokenMaskCases are cases of [nn.TokenMask].
func tokenMaskCases() []Case {
	mask := func(shape string, n int) Case {
		return Case{Op: "TokenMask", Shape: shape,
			Build: func(b *Builder) {
				keep := b.Input("keep", 0, 1, n)
				for i, k := range b.Inputs.Floats[keep] {
					b.Inputs.Floats[keep][i] = float32(math.Round(float64(k)))
				}
				b.Output(b.Graph.TokenMask(b.IDs("ids", 9, nil, n), keep))
			},
			Reference: func(x Values) [][]float64 {
				y := make([]float64, n)
				for i, id := range x.I("ids") {
					if x.F("keep")[i] != 0 {
						y[i] = float64(id)
					}
				}
				return [][]float64{y}
			}}
	}
	return []Case{mask("1", 1), mask("67", 67)}
}
