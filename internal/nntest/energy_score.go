package nntest

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/nn"
)

// energyScoreCases are cases of [nn.EnergyScore].
func energyScoreCases() []Case {
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
		energyBenchmark(),
	}
}

// energyBenchmark lets the engine draw the targets, as training does.
func energyBenchmark() Case {
	return Case{Op: "EnergyScore", Shape: "8 of 100, 128x64", Benchmark: true,
		Build: func(b *Builder) {
			mean, logStd := b.Frozen("mean", -1, 1, 128, 64), b.Frozen("log_std", -2, 0, 128, 64)
			eps := b.Graph.Random("eps", nn.Normal(), 100, 128, 64)
			b.Loss(b.Graph.EnergyScore(b.Param("pred", -1, 1, 8, 128, 64), mean, logStd, eps, nil, 1).Loss, 1)
		}}
}

// energyScore takes pred [n, p, z], mean and logStd [p, z], eps [m, p, z], weight [p].
func energyScore(pred, mean, logStd, eps, weight []float64, z int, beta float64) (loss, distY, distX []float64) {
	p := len(mean) / z
	n, m := len(pred)/len(mean), len(eps)/len(mean)
	sum, weights := 0., 0.
	for i := range p {
		at := func(x []float64, k int) []float64 { return x[(k*p+i)*z:][:z] }
		var toY, toX float64
		for a := range n {
			for k := range m {
				toY += distance(at(pred, a), reparameterize(at(mean, 0), at(logStd, 0), at(eps, k)), beta)
			}
			for k := range n {
				toX += distance(at(pred, a), at(pred, k), beta)
			}
		}
		distY = append(distY, toY/float64(n*m))
		distX = append(distX, toX/float64(n*(n-1)))
		w := 1.
		if weight != nil {
			w = weight[i]
		}
		sum += w * (2*distY[i] - distX[i])
		weights += w
	}
	if weights == 0 {
		weights = 1
	}
	return []float64{sum / weights}, distY, distX
}

func distance(x, y []float64, beta float64) float64 {
	ss := 0.
	for i := range x {
		ss += (x[i] - y[i]) * (x[i] - y[i])
	}
	return math.Pow(ss, beta/2)
}
