package nntest

import "math"

// crossEntropyCases are cases of [nn.CrossEntropy].
func crossEntropyCases() []Case {
	return []Case{
		entropy("1x1x1", 1, 1, 1, 1), entropy("7x5x11", 7, 5, 11, 1), entropy("ignored", 9, 4, 6, 1, -100, 2, -100, -100, 5),
		entropy("none counts", 3, 4, 6, 1, -100, -100, -100), entropy("large logits", 5, 3, 9, 30),
		entropy("70x33x257", 70, 33, 257, 1), entropy("chunks of rows 514x2x520", 514, 2, 520, 1, -100, 519, 0),
		entropy("512x320x2048", 512, 320, 2048, .1).benchmark(),
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

// crossEntropy returns loss, hits and Brier score.
func crossEntropy(h, w []float64, d int, labels []int32) (loss, hits, brier float64) {
	count, v := 0., len(w)/d
	for r, label := range labels {
		if label == -100 {
			continue
		}
		count++
		logits := times(h[r*d:(r+1)*d], d, w, d, 0, 0, v)
		best := argMax(logits)
		sum, squares := 0., 0.
		for _, l := range logits {
			p := math.Exp(l - logits[best])
			sum, squares = sum+p, squares+p*p
		}
		loss += math.Log(sum) + logits[best] - logits[label]
		brier += 2*math.Exp(logits[label]-logits[best])/sum - squares/sum/sum
		if best == int(label) {
			hits++
		}
	}
	return loss / max(count, 1), hits, brier / max(count, 1)
}
