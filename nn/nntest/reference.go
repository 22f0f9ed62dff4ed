package nntest

import "math"

// The definitions of the operations in float64, written as package nn's comments state them and in no other way.

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

func lookup(table []float64, d int, ids []int32) []float64 {
	var y []float64
	for _, id := range ids {
		y = append(y, table[int(id)*d:int(id+1)*d]...)
	}
	return y
}

func rmsNorm(x, w []float64, eps float64) []float64 {
	d := len(w)
	var y []float64
	for ; len(x) > 0; x = x[d:] {
		ss := 0.
		for _, v := range x[:d] {
			ss += v * v
		}
		for i, v := range x[:d] {
			y = append(y, v/math.Sqrt(ss/float64(d)+eps)*w[i])
		}
	}
	return y
}

// layerNorm has w and b nil or both of length d.
func layerNorm(x, w, b []float64, d int, eps float64) []float64 {
	var y []float64
	for ; len(x) > 0; x = x[d:] {
		mean, variance := 0., 0.
		for _, v := range x[:d] {
			mean += v / float64(d)
		}
		for _, v := range x[:d] {
			variance += (v - mean) * (v - mean) / float64(d)
		}
		for i, v := range x[:d] {
			n := (v - mean) / math.Sqrt(variance+eps)
			if w != nil {
				n = n*w[i] + b[i]
			}
			y = append(y, n)
		}
	}
	return y
}

// rotary turns x [len(start), t, heads*d].
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

func reparameterize(mean, logStd, eps []float64) []float64 {
	return plus(mean, mul(apply(math.Exp, logStd), eps))
}

func clampedKL(mean, logStd []float64, z int, clamp float64) float64 {
	sum := 0.
	for i, m := range mean {
		s := logStd[i]
		sum += max(.5*(m*m+math.Exp(2*s)-1-2*s), clamp)
	}
	return sum / float64(len(mean)/z)
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

func softmax(logits []float64) []float64 {
	peak, sum := logits[argMax(logits)], 0.
	p := apply(func(l float64) float64 { return math.Exp(l - peak) }, logits)
	for _, v := range p {
		sum += v
	}
	return apply(func(v float64) float64 { return v / sum }, p)
}

// argMax returns the first greatest.
func argMax(x []float64) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
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

func distance(x, y []float64, beta float64) float64 {
	ss := 0.
	for i := range x {
		ss += (x[i] - y[i]) * (x[i] - y[i])
	}
	return math.Pow(ss, beta/2)
}
