package nntest

import (
	"fmt"
	"math"
)

// categoricalCases are cases of [nn.Categorical].
func categoricalCases() []Case {
	return []Case{categorical(1, 1, 1, 1), categorical(9, 3, 40, 2, 0, -100, 39), categorical(600, 5, 530, 3)}
}

// categorical has n rows over a vocabulary of v, and draws of each.
func categorical(n, d, v, draws int, labels ...int32) Case {
	return Case{Op: "Categorical", Shape: fmt.Sprintf("%dx%dx%d draws=%d", n, d, v, draws), Tolerance: 1e-5,
		Build: func(b *Builder) {
			c := b.Graph.Categorical(b.Param("h", -1, 1, n, d), b.Param("w", -2, 2, v, d), b.IDs("labels", v, labels, n),
				b.Random("u", 0, 1, draws, n))
			b.Output(c.LogP, c.Collision, c.Best, c.Draws)
		},
		Reference: func(x Values) [][]float64 {
			out := [][]float64{make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, draws*n)}
			for i, label := range x.I("labels") {
				p := softmax(times(x.F("h")[i*d:(i+1)*d], d, x.F("w"), d, 0, 0, v))
				if label != -100 {
					out[0][i] = math.Log(p[label])
				}
				for _, q := range p {
					out[1][i] += q * q
				}
				out[2][i] = float64(argMax(p))
				for s := range draws {
					at, sum := 0, p[0]
					for u := x.F("u")[s*n+i]; sum <= u && at+1 < v; sum += p[at] {
						at++
					}
					out[3][s*n+i] = float64(at)
				}
			}
			return out
		}}
}

func softmax(logits []float64) []float64 {
	peak, sum := logits[argMax(logits)], 0.
	p := apply(func(l float64) float64 { return math.Exp(l - peak) }, logits)
	for _, v := range p {
		sum += v
	}
	return apply(func(v float64) float64 { return v / sum }, p)
}
