package nntest

import "math"

// noisyTargetCases are cases of [nn.NoisyTarget].
func noisyTargetCases() []Case {
	return []Case{
		noisyCase("straight 3x4x5", 3, 4, 5, nil, 0, .25, 1), noisyCase("straight 1x1x1", 1, 1, 1, nil),
		noisyCase("tables 4x37x130", 4, 37, 130, []float32{.9, .5, .1}, 0, 1, 2),
	}
}

// noisyCase takes times from [0, 1), or, with a table, whole ones; the first are given.
func noisyCase(shape string, n, p, z int, signal []float32, first ...float32) Case {
	var sigma []float32
	for _, a := range signal {
		sigma = append(sigma, 2-a)
	}
	return Case{Op: "NoisyTarget", Shape: shape,
		Build: func(b *Builder) {
			t := b.Random("t", 0, 1, n, p)
			if signal != nil {
				wholeTimes(b.Inputs.Floats[t], len(signal))
			}
			b.Given(t, first...)
			o := b.Graph.NoisyTarget(b.Detached("mean", -1, 1, p, z), b.Detached("log_std", -2, 0, p, z), b.Random("eps", -2, 2, n, p, z),
				b.Random("noise", -2, 2, n, p, z), t, signal, sigma)
			b.Output(o.Target, o.Y)
		},
		Reference: func(v Values) [][]float64 {
			var target, y []float64
			for i, e := range v.F("eps") {
				at, t := i%(p*z), v.F("t")[i/z]
				a, s := t, 1-t
				if signal != nil {
					a, s = float64(signal[int(t)]), float64(sigma[int(t)])
				}
				target = append(target, v.F("mean")[at]+math.Exp(v.F("log_std")[at])*e)
				y = append(y, a*target[i]+s*v.F("noise")[i])
			}
			return [][]float64{target, y}
		}}
}
