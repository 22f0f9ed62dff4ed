package nntest

import (
	"fmt"
	"math"
)

// attentionCases are cases of [nn.Attention].
func attentionCases() []Case {
	attend := func(batch, t, heads, kv, d int, size float64) Case {
		return Case{Op: "Attention", Shape: fmt.Sprintf("%dx%d heads=%d/%d d=%d size=%g", batch, t, heads, kv, d, size),
			Tolerance: 1e-5, GradTolerance: 5e-5,
			Build: func(b *Builder) {
				q, k := b.Param("q", -size, size, batch, t, heads*d), b.Param("k", -size, size, batch, t, kv*d)
				b.Differentiate(b.Graph.Attention(q, k, b.Param("v", -1, 1, batch, t, kv*d), heads, kv))
			},
			Reference: func(v Values) [][]float64 {
				return [][]float64{attention(v.F("q"), v.F("k"), v.F("v"), batch, t, heads, kv, d)}
			}}
	}
	return []Case{
		attend(1, 1, 1, 1, 2, 1), attend(2, 7, 4, 2, 3, 2), attend(1, 64, 2, 2, 8, 2), attend(1, 65, 4, 1, 5, 2),
		attend(1, 131, 2, 1, 10, 2), attend(1, 90, 2, 1, 16, 6),
		attend(4, 128, 4, 2, 80, 1).benchmark(),
	}
}

// attention takes q [batch, t, heads*d], k and v [batch, t, kvHeads*d].
func attention(q, k, v []float64, batch, t, heads, kvHeads, d int) []float64 {
	y := make([]float64, len(q))
	for b := range batch {
		for i := range t {
			for h := range heads {
				g := h / (heads / kvHeads)
				attendRow(y[((b*t+i)*heads+h)*d:][:d], q[((b*t+i)*heads+h)*d:], k[(b*t*kvHeads+g)*d:], v[(b*t*kvHeads+g)*d:], i+1, kvHeads*d)
			}
		}
	}
	return y
}

// attendRow attends from one row of one head to n keys that lie ld apart.
func attendRow(y, q, k, v []float64, n, ld int) {
	d := len(y)
	scores, peak, sum := make([]float64, n), math.Inf(-1), 0.
	for s := range scores {
		for i := range d {
			scores[s] += q[i] * k[s*ld+i]
		}
		scores[s] /= math.Sqrt(float64(d))
		peak = max(peak, scores[s])
	}
	for s := range scores {
		scores[s] = math.Exp(scores[s] - peak)
		sum += scores[s]
	}
	for s := range scores {
		for i := range d {
			y[i] += scores[s] / sum * v[s*ld+i]
		}
	}
}
