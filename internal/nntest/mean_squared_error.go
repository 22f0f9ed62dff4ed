package nntest

import "github.com/calm-go/calm/nn"

// meanSquaredErrorCases are cases of [nn.MeanSquaredError].
func meanSquaredErrorCases() []Case {
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

// meanSquaredError takes pred and target of rows of z; rows of target and weight repeat. weight may be nil.
func meanSquaredError(pred, target, weight []float64, z int) float64 {
	sum, weights := 0., 0.
	for r := range len(pred) / z {
		w := 1.
		if weight != nil {
			w = weight[r%len(weight)]
		}
		for i := range z {
			d := pred[r*z+i] - target[(r*z+i)%len(target)]
			sum += w * d * d / float64(z)
		}
		weights += w
	}
	if weights == 0 {
		weights = 1
	}
	return sum / weights
}
