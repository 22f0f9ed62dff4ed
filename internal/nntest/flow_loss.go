package nntest

// flowLossCases are cases of [nn.FlowLoss].
func flowLossCases() []Case {
	return []Case{
		flowCase("1x1x1", 1, 1, 1), flowCase("3x4x5 weights", 3, 4, 5, 1, 0, 2, .5), flowCase("no weight", 2, 3, 4, 0, 0, 0),
		flowCase("4x37x130", 4, 37, 130), flowCase("8x128x64", 8, 128, 64).benchmark(),
	}
}

func flowCase(shape string, n, p, z int, weights ...float32) Case {
	return Case{Op: "FlowLoss", Shape: shape,
		Build: func(b *Builder) {
			o := b.Graph.FlowLoss(b.Param("v", -1, 1, n, p, z), b.Detached("target", -1, 1, n, p, z), b.Random("noise", -2, 2, n, p, z), b.weights(p, weights))
			b.Loss(o.Loss, 2)
			b.Output(o.Terms)
		},
		Reference: func(v Values) [][]float64 {
			terms := make([]float64, n*p)
			for i, x := range v.F("v") {
				d := x - (v.F("target")[i] - v.F("noise")[i])
				terms[i/z] += d * d / float64(z)
			}
			return [][]float64{{weightedMean(terms, v, weights)}, terms}
		}}
}
