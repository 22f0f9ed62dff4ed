package nntest

import (
	"math"
	"slices"

	"github.com/calm-go/calm/nn"
)

// The definitions of the operations in float64, written exactly as the comments of package nn state them. A definition
// is in the file of its cases; this file has what several share.

func silu(x float64) float64 { return x / (1 + math.Exp(-x)) }

// times is X · W[row:row+n, col:col+k]^T for X of rows of k, W of rows of ldw.
func times(x []float64, k int, w []float64, ldw, row, col, n int) []float64 {
	var y []float64
	for ; len(x) > 0; x = x[k:] {
		for j := range n {
			sum := 0.
			for i := range k {
				sum += x[i] * w[(row+j)*ldw+col+i]
			}
			y = append(y, sum)
		}
	}
	return y
}

// plus adds rows that repeat.
func plus(x, add []float64) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i] = x[i] + add[i%len(add)]
	}
	return y
}

func apply(f func(float64) float64, x []float64) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i] = f(x[i])
	}
	return y
}

func mul(x, f []float64) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i] = x[i] * f[i]
	}
	return y
}

func ones(n int) []float64 { return slices.Repeat([]float64{1}, n) }

func repeatTo(x []float64, n int) []float64 { return slices.Repeat(x, n/len(x)) }

// argMax returns the index of the first largest element.
func argMax(x []float64) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// weightedMean is the mean of terms [n, p].
func weightedMean(terms []float64, v Values, weights []float32) float64 {
	sum, total := 0., 0.
	for i, x := range terms {
		w := 1.
		if weights != nil {
			w = v.F("weight")[i%len(weights)]
		}
		sum, total = sum+w*x, total+w
	}
	if total == 0 {
		total = 1
	}
	return sum / total
}

func wholeTimes(t []float32, n int) {
	for i, v := range t {
		t[i] = float32(math.Floor(float64(v) * float64(n)))
	}
}

// weights adds an input of given weights, or nil.
func (b *Builder) weights(p int, weights []float32) *nn.Tensor {
	if weights == nil {
		return nil
	}
	return b.Given(b.Input("weight", 0, 0, p), weights...)
}
