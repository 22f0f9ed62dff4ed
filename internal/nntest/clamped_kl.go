package nntest

import "math"

// clampedKLCases are cases of [nn.ClampedKL].
func clampedKLCases() []Case {
	kl := func(shape string, n, z int, clamp float64) Case {
		return Case{Op: "ClampedKL", Shape: shape,
			Build: func(b *Builder) {
				b.Loss(b.Graph.ClampedKL(b.Param("mean", -1.5, 1.5, n, z), b.Param("log_std", -2, 1, n, z), float32(clamp)), .7)
			},
			Reference: func(v Values) [][]float64 {
				return [][]float64{{clampedKL(v.F("mean"), v.F("log_std"), z, clamp)}}
			}}
	}
	return []Case{
		kl("1x1", 1, 1, 0), kl("7x5 clamp", 7, 5, .5), kl("130x67 clamp", 130, 67, .25), kl("all clamped", 3, 4, 50),
		kl("512x64", 512, 64, .5).benchmark(),
	}
}

func clampedKL(mean, logStd []float64, z int, clamp float64) float64 {
	sum := 0.
	for i, m := range mean {
		s := logStd[i]
		sum += max(.5*(m*m+math.Exp(2*s)-1-2*s), clamp)
	}
	return sum / float64(len(mean)/z)
}
