package nntest

import (
	"fmt"
	"math"
)

// layerNormCases are cases of [nn.LayerNorm].
func layerNormCases() []Case {
	const eps = .01
	norm := func(n, d int, plain bool) Case {
		c := Case{Op: "LayerNorm", Shape: fmt.Sprintf("%dx%d", n, d),
			Build: func(b *Builder) {
				b.Differentiate(b.Graph.LayerNorm(b.Param("x", -2, 3, n, d), b.Param("w", -1, 2, d), b.Param("b", -1, 1, d), eps))
			},
			Reference: func(v Values) [][]float64 {
				return [][]float64{layerNorm(v.F("x"), v.F("w"), v.F("b"), d, float64(float32(eps)))}
			}}
		if plain {
			c.Shape += " plain"
			c.Build = func(b *Builder) {
				b.Differentiate(b.Graph.LayerNorm(b.Param("x", -2, 3, n, d), nil, nil, eps))
			}
			c.Reference = func(v Values) [][]float64 {
				return [][]float64{layerNorm(v.F("x"), nil, nil, d, float64(float32(eps)))}
			}
		}
		if d == 1 {
			c.GradFloor = 1e-6 // x minus its mean is 0
		}
		return c
	}
	var cases []Case
	for _, s := range [][2]int{{1, 1}, {1, 19}, {7, 5}, {33, 130}, {300, 65}} {
		cases = append(cases, norm(s[0], s[1], false), norm(s[0], s[1], true))
	}
	return append(cases, norm(512, 320, false).benchmark())
}

// layerNorm has w and b nil or both of length d.
func layerNorm(x, w, b []float64, d int, eps float64) []float64 {
	var y []float64
	for ; len(x) > 0; x = x[d:] {
		mean, variance := 0., 0.
		for _, v := range x[:d] {
			mean += v / float64(d)
		}
		for _, v := range x[:d] {
			variance += (v - mean) * (v - mean) / float64(d)
		}
		for i, v := range x[:d] {
			n := (v - mean) / math.Sqrt(variance+eps)
			if w != nil {
				n = n*w[i] + b[i]
			}
			y = append(y, n)
		}
	}
	return y
}
