package kernel

import "math"

// RMSNorm sets dst = x * rstd * w for one row, where the caller has rstd = 1 / sqrt(SumSquares(x)/D + eps).
func (s ISA) RMSNorm(dst, x, w []float32, rstd float32) {
	checkLen("RMSNorm", "x", len(x), len(dst))
	checkLen("RMSNorm", "w", len(w), len(dst))
	switch s {
	case AVX512:
		rmsNormAVX512(dst, x, w, rstd)
	case AVX2:
		rmsNormAVX2(dst, x, w, rstd)
	default:
		rmsNormGo(dst, x, w, rstd)
	}
}

// RMSNormGrad is the backward pass of one row of length D: with g = w * dy,
//
//	dx  = rstd * g - x * rstd^3 / D * sum(x * g)
//	dw += dy * x * rstd
//
// dw may be nil; dx may be the slice of x or dy.
func (s ISA) RMSNormGrad(dx, dw, x, w, dy []float32, rstd float32) {
	d := len(dx)
	checkLen("RMSNormGrad", "x", len(x), d)
	checkLen("RMSNormGrad", "w", len(w), d)
	checkLen("RMSNormGrad", "dy", len(dy), d)
	if d == 0 {
		return
	}
	if dw != nil {
		checkLen("RMSNormGrad", "dw", len(dw), d)
		s.normGradWeight(dw, dy, x, 0, rstd)
	}
	_, dot := s.normSums(x, w, dy, 0)
	s.normGrad(dx, x, w, dy, normGradFactors{g: rstd, x: -rstd * rstd * rstd / float32(d) * dot})
}

// MeanRstd returns the statistics LayerNorm needs of a row: its mean and 1 / sqrt(variance + eps), the variance being the
// mean squared distance from the mean, in a second pass.
func (s ISA) MeanRstd(x []float32, eps float32) (mean, rstd float32) {
	n := float32(len(x))
	mean = s.Sum(x) / n
	return mean, float32(1 / math.Sqrt(float64(s.sumSquares(x, mean)/n+eps)))
}

// LayerNorm sets dst = (x-mean) * rstd * w + b for one row; w and b may both be nil, for a norm without parameters.
func (s ISA) LayerNorm(dst, x, w, b []float32, mean, rstd float32) {
	checkLen("LayerNorm", "x", len(x), len(dst))
	if w == nil && b == nil {
		s.normalize(dst, x, mean, rstd)
		return
	}
	checkLen("LayerNorm", "w", len(w), len(dst))
	checkLen("LayerNorm", "b", len(b), len(dst))
	switch s {
	case AVX512:
		layerNormAVX512(dst, x, w, b, mean, rstd)
	case AVX2:
		layerNormAVX2(dst, x, w, b, mean, rstd)
	default:
		layerNormGo(dst, x, w, b, mean, rstd)
	}
}

// normalize sets dst = (x-mean) * rstd.
func (s ISA) normalize(dst, x []float32, mean, rstd float32) {
	switch s {
	case AVX512:
		normalizeAVX512(dst, x, mean, rstd)
	case AVX2:
		normalizeAVX2(dst, x, mean, rstd)
	default:
		normalizeGo(dst, x, mean, rstd)
	}
}

// LayerNormGrad is the backward pass of one row of length D: with h = (x-mean) * rstd and g = w * dy,
//
//	dx  = rstd * (g - sum(g) / D - h * sum(h * g) / D)
//	dw += dy * h
//	db += dy
//
// Without parameters dw, db and w are nil; dw and db may be nil alone too. dx may be the slice of x or dy.
func (s ISA) LayerNormGrad(dx, dw, db, x, w, dy []float32, mean, rstd float32) {
	d := len(dx)
	checkLen("LayerNormGrad", "x", len(x), d)
	checkLen("LayerNormGrad", "dy", len(dy), d)
	if d == 0 {
		return
	}
	if w != nil {
		checkLen("LayerNormGrad", "w", len(w), d)
	}
	if dw != nil {
		checkLen("LayerNormGrad", "dw", len(dw), d)
		s.normGradWeight(dw, dy, x, mean, rstd)
	}
	if db != nil {
		s.Add(db, db, dy)
	}
	sum, dot := s.normSums(x, w, dy, mean)
	s.normGrad(dx, x, w, dy, normGradFactors{
		g:    rstd,
		x:    -rstd * rstd * rstd / float32(d) * dot,
		mean: mean,
		one:  -rstd / float32(d) * sum,
	})
}

// normGradFactors are the factors of dx = g * (w * dy) + x * (x-mean) + one, which both norms share.
type normGradFactors struct{ g, x, mean, one float32 }

// normSums returns sum(g) and sum(g * (x-mean)) with g = w * dy, or dy where w is nil.
func (s ISA) normSums(x, w, dy []float32, mean float32) (sum, dot float32) {
	if w == nil {
		switch s {
		case AVX512:
			return normSumsPlainAVX512(x, dy, mean)
		case AVX2:
			return normSumsPlainAVX2(x, dy, mean)
		default:
			return normSumsPlainGo(x, dy, mean)
		}
	}
	switch s {
	case AVX512:
		return normSumsAVX512(x, w, dy, mean)
	case AVX2:
		return normSumsAVX2(x, w, dy, mean)
	default:
		return normSumsGo(x, w, dy, mean)
	}
}

// normGrad sets dx = f.g * g + f.x * (x-f.mean) + f.one with g = w * dy, or dy where w is nil.
func (s ISA) normGrad(dx, x, w, dy []float32, f normGradFactors) {
	if w == nil {
		switch s {
		case AVX512:
			normGradPlainAVX512(dx, x, dy, f.g, f.x, f.mean, f.one)
		case AVX2:
			normGradPlainAVX2(dx, x, dy, f.g, f.x, f.mean, f.one)
		default:
			normGradPlainGo(dx, x, dy, f.g, f.x, f.mean, f.one)
		}
		return
	}
	switch s {
	case AVX512:
		normGradAVX512(dx, x, w, dy, f.g, f.x, f.mean, f.one)
	case AVX2:
		normGradAVX2(dx, x, w, dy, f.g, f.x, f.mean, f.one)
	default:
		normGradGo(dx, x, w, dy, f.g, f.x, f.mean, f.one)
	}
}

// normGradWeight sets dw += dy * ((x-mean) * rstd).
func (s ISA) normGradWeight(dw, dy, x []float32, mean, rstd float32) {
	switch s {
	case AVX512:
		normGradWeightAVX512(dw, dy, x, mean, rstd)
	case AVX2:
		normGradWeightAVX2(dw, dy, x, mean, rstd)
	default:
		normGradWeightGo(dw, dy, x, mean, rstd)
	}
}

func rmsNormGo(dst, x, w []float32, rstd float32) {
	x, w = x[:len(dst)], w[:len(dst)]
	for i := range dst {
		dst[i] = x[i] * rstd * w[i]
	}
}

func normalizeGo(dst, x []float32, mean, rstd float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = (x[i] - mean) * rstd
	}
}

func layerNormGo(dst, x, w, b []float32, mean, rstd float32) {
	x, w, b = x[:len(dst)], w[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = (x[i]-mean)*rstd*w[i] + b[i]
	}
}

func normSumsGo(x, w, dy []float32, mean float32) (sum, dot float32) {
	w, dy = w[:len(x)], dy[:len(x)]
	var p, q [lanes]float32
	for i := range x {
		g := w[i] * dy[i]
		p[i%lanes] += g
		q[i%lanes] += g * (x[i] - mean)
	}
	return addLanes(&p), addLanes(&q)
}

func normSumsPlainGo(x, dy []float32, mean float32) (sum, dot float32) {
	dy = dy[:len(x)]
	var p, q [lanes]float32
	for i := range x {
		p[i%lanes] += dy[i]
		q[i%lanes] += dy[i] * (x[i] - mean)
	}
	return addLanes(&p), addLanes(&q)
}

func normGradGo(dx, x, w, dy []float32, fg, fx, mean, one float32) {
	x, w, dy = x[:len(dx)], w[:len(dx)], dy[:len(dx)]
	for i := range dx {
		dx[i] = w[i]*dy[i]*fg + ((x[i]-mean)*fx + one)
	}
}

func normGradPlainGo(dx, x, dy []float32, fg, fx, mean, one float32) {
	x, dy = x[:len(dx)], dy[:len(dx)]
	for i := range dx {
		dx[i] = dy[i]*fg + ((x[i]-mean)*fx + one)
	}
}

func normGradWeightGo(dw, dy, x []float32, mean, rstd float32) {
	dy, x = dy[:len(dw)], x[:len(dw)]
	for i := range dw {
		dw[i] += dy[i] * ((x[i] - mean) * rstd)
	}
}
