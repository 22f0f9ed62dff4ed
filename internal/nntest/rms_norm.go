package nntest

import (
	"fmt"
	"math"
)

// rmsNormCases are cases of [nn.RMSNorm].
func rmsNormCases() []Case {
	norm := func(n, d int) Case {
		const eps = .01
		return Case{Op: "RMSNorm", Shape: fmt.Sprintf("%dx%d", n, d),
			Build: func(b *Builder) {
				b.Differentiate(b.Graph.RMSNorm(b.Param("x", -2, 3, n, d), b.Param("w", -1, 2, d), eps))
			},
			Reference: func(v Values) [][]float64 {
				return [][]float64{rmsNorm(v.F("x"), v.F("w"), float64(float32(eps)))}
			}}
	}
	return []Case{norm(1, 1), norm(1, 19), norm(7, 5), norm(33, 130), norm(300, 65), norm(512, 320).benchmark()}
}

func rmsNorm(x, w []float64, eps float64) []float64 {
	d := len(w)
	var y []float64
	for ; len(x) > 0; x = x[d:] {
		ss := 0.
		for _, v := range x[:d] {
			ss += v * v
		}
		for i, v := range x[:d] {
			y = append(y, v/math.Sqrt(ss/float64(d)+eps)*w[i])
		}
	}
	return y
}
