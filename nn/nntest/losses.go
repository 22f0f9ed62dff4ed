package nntest

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/nn"
)

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

func lossCases() []Case {
	kl := func(shape string, n, z int, clamp float64) Case {
		return Case{Op: "ClampedKL", Shape: shape,
			Build: func(b *Builder) {
				b.Loss(b.Graph.ClampedKL(b.Param("mean", -1.5, 1.5, n, z), b.Param("log_std", -2, 1, n, z), float32(clamp)), .7)
			},
			Reference: func(v Values) [][]float64 {
				return [][]float64{{clampedKL(v.F("mean"), v.F("log_std"), z, clamp)}}
			}}
	}
	argmax := func(shape string, n, d, v int) Case {
		return Case{Op: "ArgMax", Shape: shape,
			Build: func(b *Builder) {
				h, w := b.Param("h", -1, 1, n, d), b.Param("w", -1, 1, v, d)
				// Multiples of 1/4 are exact in every order of summation, and make many ties: the first counts.
				quantise(h.Param().Data)
				quantise(w.Param().Data)
				b.Output(b.Graph.ArgMax(h, w))
			},
			Reference: func(x Values) [][]float64 {
				var ids []float64
				for r := range n {
					ids = append(ids, float64(argMax(times(x.F("h")[r*d:(r+1)*d], d, x.F("w"), d, 0, 0, v))))
				}
				return [][]float64{ids}
			}}
	}
	return []Case{
		kl("1x1", 1, 1, 0), kl("7x5 clamp", 7, 5, .5), kl("130x67 clamp", 130, 67, .25), kl("all clamped", 3, 4, 50),
		entropy("1x1x1", 1, 1, 1, 1), entropy("7x5x11", 7, 5, 11, 1), entropy("ignored", 9, 4, 6, 1, -100, 2, -100, -100, 5),
		entropy("none counts", 3, 4, 6, 1, -100, -100, -100), entropy("large logits", 5, 3, 9, 30),
		entropy("70x33x257", 70, 33, 257, 1), entropy("chunks of rows 514x2x520", 514, 2, 520, 1, -100, 519, 0),
		argmax("1x1x1", 1, 1, 1), argmax("9x3x40", 9, 3, 40), argmax("ties 33x1x70", 33, 1, 70),
		argmax("chunks of the vocabulary 4200x2x1100", 4200, 2, 1100),
		categorical(1, 1, 1, 1), categorical(9, 3, 40, 2, 0, -100, 39), categorical(600, 5, 530, 3),
	}
}

func quantise(x []float32) {
	for i := range x {
		x[i] = float32(math.Round(4*float64(x[i])) / 4)
	}
}

func entropy(shape string, n, d, v int, size float64, labels ...int32) Case {
	return Case{Op: "CrossEntropy", Shape: shape, GradTolerance: 3e-5,
		Build: func(b *Builder) {
			ce := b.Graph.CrossEntropy(b.Param("h", -size, size, n, d), b.Param("w", -1, 1, v, d), b.IDs("labels", v, labels, n))
			b.Loss(ce.Loss, 3)
			b.Output(ce.Hits, ce.Brier)
		},
		Reference: func(x Values) [][]float64 {
			loss, hits, brier := crossEntropy(x.F("h"), x.F("w"), d, x.I("labels"))
			return [][]float64{{loss}, {hits}, {brier}}
		}}
}

func energyCases() []Case {
	energy := func(shape string, n, m, p, z int, beta float64, weights ...float32) Case {
		return Case{Op: "EnergyScore", Shape: shape, Tolerance: 5e-6, GradTolerance: 3e-5,
			Build: func(b *Builder) {
				pred := b.Param("pred", -1, 1, n, p, z)
				mean, logStd := b.Detached("mean", -1, 1, p, z), b.Frozen("log_std", -2, 0, p, z)
				var w *nn.Tensor
				if weights != nil {
					w = b.Given(b.Input("weight", 0, 0, p), weights...)
				}
				o := b.Graph.EnergyScore(pred, mean, logStd, b.Random("eps", -2, 2, m, p, z), w, float32(beta))
				b.Loss(o.Loss, 2)
				b.Output(o.DistY, o.DistX)
			},
			Reference: func(x Values) [][]float64 {
				var w []float64
				if weights != nil {
					w = x.F("weight")
				}
				loss, y, xx := energyScore(x.F("pred"), x.F("mean"), x.F("log_std"), x.F("eps"), w, z, beta)
				return [][]float64{loss, y, xx}
			}}
	}
	same := func(beta float64) Case {
		c := energy(fmt.Sprintf("equal samples beta=%g", beta), 3, 4, 2, 5, beta)
		inner := c.Build
		c.Build = func(b *Builder) {
			inner(b)
			pred := b.Params.Get("pred").Data
			copy(pred[10:20], pred[:10])
			copy(pred[20:], pred[:10])
		}
		return c
	}
	return []Case{
		energy("2 of 1, 1x1", 2, 1, 1, 1, 1), energy("3 of 5, 7x4", 3, 5, 7, 4, 1), energy("beta=1.5", 3, 5, 4, 7, 1.5),
		energy("beta=0.75", 3, 5, 4, 7, .75), energy("weights", 3, 4, 5, 3, 1, 1, 0, .5, 0, 2),
		energy("weights beta=1.5", 2, 3, 3, 3, 1.5, 0, 1, 1), energy("no weight", 3, 4, 2, 3, 1, 0, 0),
		energy("8 of 100, 3x67", 8, 100, 3, 67, 1), energy("2 of 3, 140x5", 2, 3, 140, 5, 1), energy("64 of 3, 2x5", 64, 3, 2, 5, 1),
		energy("beta=0.25", 3, 5, 4, 7, .25), energy("beta=0.5", 3, 5, 4, 7, .5), energy("beta=2", 3, 5, 4, 7, 2),
		same(1), same(1.5), same(.75), same(.5), same(.25),
	}
}

func squaredErrorCases() []Case {
	squares := func(shape string, n, targets, z int, weights ...float32) Case {
		return Case{Op: "MeanSquaredError", Shape: shape,
			Build: func(b *Builder) {
				pred, target := b.Param("pred", -1, 2, n, z), b.Detached("target", -2, 1, targets, z)
				var w *nn.Tensor
				if weights != nil {
					w = b.Given(b.Input("weight", 0, 0, len(weights)), weights...)
				}
				b.Loss(b.Graph.MeanSquaredError(pred, target, w), 3)
			},
			Reference: func(x Values) [][]float64 {
				var w []float64
				if weights != nil {
					w = x.F("weight")
				}
				return [][]float64{{meanSquaredError(x.F("pred"), x.F("target"), w, z)}}
			}}
	}
	return []Case{
		squares("1x1", 1, 1, 1), squares("7x5", 7, 7, 5), squares("targets repeat 12x3x9", 12, 3, 9), squares("300x130", 300, 300, 130),
		squares("weights", 5, 5, 3, 1, 0, .5, 0, 2), squares("weights and targets repeat", 12, 3, 4, 0, 2, 1),
		squares("more weights than targets", 12, 3, 4, 1, 0, 2, .5, 0, 1), squares("none counts", 4, 2, 3, 0, 0),
	}
}
