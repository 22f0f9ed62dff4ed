package nntest

import "math"

// sinusoidalEmbeddingCases are cases of [nn.SinusoidalEmbedding].
func sinusoidalEmbeddingCases() []Case {
	return []Case{
		sinusoidCase("whole times", 1, 6, 0, 1, 2, 500, 999, 1000), sinusoidCase("scaled", 1000, 256, 0, .00039, .35, .5, .999, 1),
		sinusoidCase("beyond the table", 1, 2, 1001, 5000, -3, .5),
	}
}

func sinusoidCase(shape string, scale float32, width int, given ...float32) Case {
	return Case{Op: "SinusoidalEmbedding", Shape: shape,
		Build: func(b *Builder) {
			b.Output(b.Graph.SinusoidalEmbedding(b.Given(b.Input("t", 0, 1, len(given)), given...), scale, width))
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
