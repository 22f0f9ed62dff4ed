package nntest

import (
	"math"

	"github.com/calm-go/calm/nn"
)

// diffusionLossCases are cases of [nn.DiffusionLoss].
func diffusionLossCases() []Case {
	return []Case{
		diffusionCase("1x1x1", 1, 1, 1, nil), diffusionCase("3x4x5 weights", 3, 4, 5, nil, 1, 0, 2, .5),
		diffusionCase("no weight", 2, 3, 4, nil, 0, 0, 0), diffusionCase("4x37x33", 4, 37, 33, nil),
		diffusionCase("bins", 2, 5, 6, []float32{-1.5, -.9995, -.5, .3, .9995, 1.2}), diffusionCase("8x128x64", 8, 128, 64, nil).benchmark(),
	}
}

// diffusionCase takes the first targets as given, at time 0. The bound sees the predicted noise as a constant, so its
// definition takes it from an input.
func diffusionCase(shape string, n, p, z int, first []float32, weights ...float32) Case {
	tables := nn.DiffusionTables{MinLog: []float64{-8, -6, -2}, MaxLog: []float64{-7.5, -4, -.5}, Coef: []float64{.01, .02, .3}}
	return Case{Op: "DiffusionLoss", Shape: shape, GradTolerance: 3e-5,
		Build: func(b *Builder) {
			pred := b.Param("pred", -1, 1, n, p, 2*z)
			constant := b.Input("constant", 0, 0, n, p, 2*z)
			copy(b.Inputs.Floats[constant], pred.Param().Data)
			t := b.Random("t", 0, 1, n, p)
			wholeTimes(b.Inputs.Floats[t], 3)
			b.Given(t, make([]float32, (n*p+1)/2)...)
			target := b.Detached("target", -1.1, 1.1, n, p, z)
			copy(target.Param().Data, first)
			o := b.Graph.DiffusionLoss(pred, target, b.Random("noise", -2, 2, n, p, z), t, b.weights(p, weights), tables)
			b.Loss(o.Loss, 2)
			b.Output(o.MeanMSE, o.MeanBound, o.MSE, o.Bound)
		},
		Reference: func(v Values) [][]float64 {
			mse, bound := make([]float64, n*p), make([]float64, n*p)
			for i, x := range v.F("target") {
				r, k := i/z, i%z
				d := v.F("pred")[2*r*z+k] - v.F("noise")[i]
				t := int(v.F("t")[r])
				f := (v.F("pred")[2*r*z+z+k] + 1) / 2
				logVariance := f*tables.MaxLog[t] + (1-f)*tables.MinLog[t]
				off := tables.Coef[t] * (v.F("constant")[2*r*z+k] - v.F("noise")[i])
				mse[r] += d * d / float64(z)
				if t == 0 {
					bound[r] -= math.Log2(max(bin(x, x-off, math.Exp(.5*logVariance)), 1e-12)) / float64(z)
				} else {
					bound[r] += gaussianKL(off, tables.MinLog[t], logVariance) / math.Ln2 / float64(z)
				}
			}
			a, b := weightedMean(mse, v, weights), weightedMean(bound, v, weights)
			return [][]float64{{a + b}, {a}, {b}, mse, bound}
		}}
}

// bin is the probability of the bin around x under a Gaussian.
func bin(x, mean, std float64) float64 {
	cdf := func(u float64) float64 {
		u /= std
		return .5 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(u+.044715*math.Pow(u, 3))))
	}
	switch {
	case x < -.999:
		return cdf(x - mean + 1./255)
	case x > .999:
		return 1 - cdf(x-mean-1./255)
	}
	return cdf(x-mean+1./255) - cdf(x-mean-1./255)
}

// gaussianKL is the KL divergence between two Gaussians whose means differ by off, from their log variances.
func gaussianKL(off, own, other float64) float64 {
	return .5 * (-1 + other - own + math.Exp(own-other) + off*off*math.Exp(-other))
}
