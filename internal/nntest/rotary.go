package nntest

import (
	"fmt"
	"math"
)

// rotaryCases are cases of [nn.Rotary].
func rotaryCases() []Case {
	rope := func(batch, t, heads, d int, start ...int32) Case {
		return Case{Op: "Rotary", Shape: fmt.Sprintf("%dx%dx%dx%d start=%v", batch, t, heads, d, start), Tolerance: 1e-5,
			Build: func(b *Builder) {
				x := b.Param("x", -2, 2, batch, t, heads*d)
				if start == nil {
					b.Differentiate(b.Graph.Rotary(x, nil, heads, 1e4))
				} else {
					b.Output(b.Graph.Rotary(x, b.IDs("start", 1, start, batch), heads, 1e4))
				}
			},
			Reference: func(v Values) [][]float64 {
				from := start
				if from == nil {
					from = make([]int32, batch)
				}
				return [][]float64{rotary(v.F("x"), from, t, heads, d, 1e4)}
			}}
	}
	return []Case{
		rope(1, 1, 1, 2), rope(2, 9, 3, 6), rope(3, 67, 2, 16), rope(2, 5, 2, 8, 7, 0), rope(2, 1, 3, 34, 1000, 31),
		rope(4, 128, 4, 80).benchmark(),
	}
}

// rotary rotates x [len(start), t, heads*d].
func rotary(x []float64, start []int32, t, heads, d int, theta float64) []float64 {
	y := make([]float64, len(x))
	for r := range len(x) / (heads * d) {
		pos := float64(int(start[r/t]) + r%t)
		for h := range heads {
			at := (r*heads + h) * d
			for i := range d / 2 {
				sin, cos := math.Sincos(pos * math.Pow(theta, -2*float64(i)/float64(d)))
				a, b := x[at+i], x[at+i+d/2]
				y[at+i], y[at+i+d/2] = a*cos-b*sin, b*cos+a*sin
			}
		}
	}
	return y
}
