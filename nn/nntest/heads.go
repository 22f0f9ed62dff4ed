package nntest

import (
	"fmt"
	"math"
	"slices"

	"github.com/calm-go/calm/nn"
)

// headCases are the operations of the diffusion and flow heads.
func headCases() []Case {
	cases := []Case{
		sinusoidCase("whole times", 1, 6, 0, 1, 2, 500, 999, 1000), sinusoidCase("scaled", 1000, 256, 0, .00039, .35, .5, .999, 1),
		sinusoidCase("beyond the table", 1, 2, 1001, 5000, -3, .5),
		noisyCase("straight 3x4x5", 3, 4, 5, nil, 0, .25, 1), noisyCase("straight 1x1x1", 1, 1, 1, nil),
		noisyCase("tables 4x37x130", 4, 37, 130, []float32{.9, .5, .1}, 0, 1, 2),
		flowCase("1x1x1", 1, 1, 1), flowCase("3x4x5 weights", 3, 4, 5, 1, 0, 2, .5), flowCase("no weight", 2, 3, 4, 0, 0, 0),
		flowCase("4x37x130", 4, 37, 130),
		diffusionCase("1x1x1", 1, 1, 1, nil), diffusionCase("3x4x5 weights", 3, 4, 5, nil, 1, 0, 2, .5),
		diffusionCase("no weight", 2, 3, 4, nil, 0, 0, 0), diffusionCase("4x37x33", 4, 37, 33, nil),
		diffusionCase("bins", 2, 5, 6, []float32{-1.5, -.9995, -.5, .3, .9995, 1.2}),
	}
	for _, s := range [][3]int{{1, 1, 1}, {7, 7, 5}, {12, 4, 19}, {300, 60, 65}, {66, 1, 130}} {
		n, m, d := s[0], s[1], s[2]
		shape := fmt.Sprintf("%dx%d by %d", n, d, m)
		cases = append(cases,
			Case{Op: "Modulate", Shape: shape,
				Build: func(b *Builder) {
					b.Differentiate(b.Graph.Modulate(b.Param("x", -2, 2, n, d), b.Param("shift", -1, 1, m, d), b.Param("scale", -1, 1, m, d)))
				},
				Reference: func(v Values) [][]float64 { return [][]float64{modulate(v.F("x"), v.F("shift"), v.F("scale"))} }},
			Case{Op: "GatedAdd", Shape: shape,
				Build: func(b *Builder) {
					b.Differentiate(b.Graph.GatedAdd(b.Param("x", -2, 2, n, d), b.Param("gate", -1, 1, m, d), b.Param("h", -2, 2, n, d)))
				},
				Reference: func(v Values) [][]float64 { return [][]float64{gatedAdd(v.F("x"), v.F("gate"), v.F("h"))} }},
		)
	}
	return append(cases, adaptiveBlocks())
}

// adaptiveBlocks: two blocks as the heads have them, whose operations pass gradients on and share inputs.
func adaptiveBlocks() Case {
	const n, d = 6, 5
	return graphCase("adaptive blocks", func(b *Builder) {
		g := b.Graph
		w := func(name string) *nn.Tensor { return b.Param(name, -.6, .6, d, d) }
		s := g.Linear(b.Param("s", -1, 1, n, d), w("ws"), nil, nn.LinearOptions{})
		x := g.Linear(b.Param("x", -1, 1, n, d), w("wx"), nil, nn.LinearOptions{})
		for _, at := range []string{"0", "1"} {
			m := func(name string) *nn.Tensor { return g.Linear(s, w(name+at), nil, nn.LinearOptions{}) }
			y := g.Modulate(g.LayerNorm(x, nil, nil, .01), m("shift"), m("scale"))
			x = g.GatedAdd(x, m("gate"), g.Linear(y, w("mlp"+at), nil, nn.LinearOptions{}))
		}
		b.Differentiate(g.Modulate(x, s, s)) // shift and scale are one tensor
		b.Differentiate(g.GatedAdd(x, x, x))
	}, func(v Values) [][]float64 {
		lin := func(x []float64, w string) []float64 { return times(x, d, v.F(w), d, 0, 0, d) }
		s, x := lin(v.F("s"), "ws"), lin(v.F("x"), "wx")
		for _, at := range []string{"0", "1"} {
			y := modulate(layerNorm(x, nil, nil, d, float64(float32(.01))), lin(s, "shift"+at), lin(s, "scale"+at))
			x = gatedAdd(x, lin(s, "gate"+at), lin(y, "mlp"+at))
		}
		return [][]float64{modulate(x, s, s), gatedAdd(x, x, x)}
	})
}

func sinusoidCase(shape string, scale float32, width int, given ...float32) Case {
	return Case{Op: "Sinusoid", Shape: shape,
		Build: func(b *Builder) {
			b.Output(b.Graph.Sinusoid(b.Given(b.Input("t", 0, 1, len(given)), given...), scale, width))
		},
		Reference: func(v Values) [][]float64 {
			var y []float64
			for _, t := range v.F("t") {
				t = math.Floor(float64(scale * float32(t)))
				for i := range width {
					angle := t * math.Exp(-math.Log(10000)*float64(i%(width/2))/float64(width/2))
					if i < width/2 {
						y = append(y, math.Cos(angle))
					} else {
						y = append(y, math.Sin(angle))
					}
				}
			}
			return [][]float64{y}
		}}
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

func wholeTimes(t []float32, n int) {
	for i, v := range t {
		t[i] = float32(math.Floor(float64(v) * float64(n)))
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

// weights adds an input of given weights, or nil.
func (b *Builder) weights(p int, weights []float32) *nn.Tensor {
	if weights == nil {
		return nil
	}
	return b.Given(b.Input("weight", 0, 0, p), weights...)
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

// gaussianKL is the divergence of a Gaussian from another whose mean is off, from their log variances.
func gaussianKL(off, own, other float64) float64 {
	return .5 * (-1 + other - own + math.Exp(own-other) + off*off*math.Exp(-other))
}

func modulate(x, shift, scale []float64) []float64 {
	return plus(mul(x, repeatTo(plus(ones(len(scale)), scale), len(x))), shift)
}

func gatedAdd(x, gate, h []float64) []float64 { return plus(x, mul(repeatTo(gate, len(h)), h)) }

func ones(n int) []float64 { return slices.Repeat([]float64{1}, n) }

func repeatTo(x []float64, n int) []float64 { return slices.Repeat(x, n/len(x)) }
