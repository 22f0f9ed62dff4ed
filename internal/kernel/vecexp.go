package kernel

import "math"

// Exp sets dst = e^src with a relative error below 1e-7. Results below the smallest normal float32 (2^-126) are zero,
// results above the largest +Inf; Exp(NaN) is NaN.
func (s ISA) Exp(dst, src []float32) {
	checkLen("Exp", "src", len(src), len(dst))
	switch s {
	case AVX512:
		expAVX512(dst, src)
	case AVX2:
		expAVX2(dst, src)
	default:
		expGo(dst, src)
	}
}

// ExpSum sets dst = e^(src-shift) and returns the sum of dst: with the maximum as shift, the softmax numerators and
// their denominator.
func (s ISA) ExpSum(dst, src []float32, shift float32) float32 {
	checkLen("ExpSum", "src", len(src), len(dst))
	switch s {
	case AVX512:
		return expSumAVX512(dst, src, shift)
	case AVX2:
		return expSumAVX2(dst, src, shift)
	default:
		return expSumGo(dst, src, shift)
	}
}

// SiLU sets dst = x / (1 + e^-x), which is NaN at -Inf.
func (s ISA) SiLU(dst, x []float32) {
	checkLen("SiLU", "x", len(x), len(dst))
	switch s {
	case AVX512:
		siluAVX512(dst, x)
	case AVX2:
		siluAVX2(dst, x)
	default:
		siluGo(dst, x)
	}
}

// SiLUGrad sets dx = dy * silu'(x), silu'(x) = r (1 + x (1 - r)) with r = 1 / (1 + e^-x).
func (s ISA) SiLUGrad(dx, x, dy []float32) {
	checkLen("SiLUGrad", "x", len(x), len(dx))
	checkLen("SiLUGrad", "dy", len(dy), len(dx))
	switch s {
	case AVX512:
		siluGradAVX512(dx, x, dy)
	case AVX2:
		siluGradAVX2(dx, x, dy)
	default:
		siluGradGo(dx, x, dy)
	}
}

// SwiGLU sets dst = silu(gate) * up.
func (s ISA) SwiGLU(dst, gate, up []float32) {
	checkLen("SwiGLU", "gate", len(gate), len(dst))
	checkLen("SwiGLU", "up", len(up), len(dst))
	switch s {
	case AVX512:
		swiGLUAVX512(dst, gate, up)
	case AVX2:
		swiGLUAVX2(dst, gate, up)
	default:
		swiGLUGo(dst, gate, up)
	}
}

// SwiGLUGrad sets dgate = dy * up * silu'(gate) and dup = dy * silu(gate). Either may be the slice of an input.
func (s ISA) SwiGLUGrad(dgate, dup, gate, up, dy []float32) {
	checkLen("SwiGLUGrad", "dup", len(dup), len(dgate))
	checkLen("SwiGLUGrad", "gate", len(gate), len(dgate))
	checkLen("SwiGLUGrad", "up", len(up), len(dgate))
	checkLen("SwiGLUGrad", "dy", len(dy), len(dgate))
	switch s {
	case AVX512:
		swiGLUGradAVX512(dgate, dup, gate, up, dy)
	case AVX2:
		swiGLUGradAVX2(dgate, dup, gate, up, dy)
	default:
		swiGLUGradGo(dgate, dup, gate, up, dy)
	}
}

// The exponential: x = n ln 2 + r with |r| <= ln 2 / 2, then e^r = 1 + r + r^2 (c2 + c3 r + c4 r^2 + c5 r^3 + c6 r^4).
// The coefficients are minimax in relative error (2.5e-8, by Remez exchange). The generator of the assembly reads the
// constants from this file.
const (
	expMax   = 88.72283  // largest x with a finite result
	expMin   = -87.33654 // smallest x with a normal result
	log2E    = 1.44269504
	ln2High  = 0.693359375 // 355/512: its product with any n is exact
	ln2Low   = -2.12194440e-4
	roundInt = 3 << 22 // adding it rounds to an integer, in the low bits; subtracting it gives the integer as a float

	expC2 = 0.49999982
	expC3 = 0.16666600
	expC4 = 0.041673802
	expC5 = 0.0083592525
	expC6 = 0.0013339521
)

func exp32(x float32) float32 {
	if !(x <= expMax) {
		if x != x {
			return x
		}
		return float32(math.Inf(1))
	}
	if x < expMin {
		return 0
	}
	t := float32(x*log2E) + roundInt
	n := t - roundInt
	r := float32(x-float32(n*ln2High)) - float32(n*ln2Low)
	p := (((expC6*r+expC5)*r+expC4)*r+expC3)*r + expC2
	p = (p*r+1)*r + 1
	return math.Float32frombits(math.Float32bits(p) + math.Float32bits(t)<<23) // times 2^n
}

func expGo(dst, src []float32) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = exp32(src[i])
	}
}

func expSumGo(dst, src []float32, shift float32) float32 {
	src = src[:len(dst)]
	var sums [lanes]float32
	for i := range dst {
		e := exp32(src[i] - shift)
		dst[i] = e
		sums[i%lanes] += e
	}
	return addLanes(&sums)
}

func sigmoid32(x float32) float32 { return 1 / (1 + exp32(-x)) }

func siluGo(dst, x []float32) {
	x = x[:len(dst)]
	for i, x := range x {
		dst[i] = x / (1 + exp32(-x))
	}
}

func siluGradGo(dx, x, dy []float32) {
	x, dy = x[:len(dx)], dy[:len(dx)]
	for i, x := range x {
		r := sigmoid32(x)
		dx[i] = dy[i] * (r * (1 + x*(1-r)))
	}
}

func swiGLUGo(dst, gate, up []float32) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	for i, x := range gate {
		dst[i] = x / (1 + exp32(-x)) * up[i]
	}
}

func swiGLUGradGo(dgate, dup, gate, up, dy []float32) {
	n := len(dgate)
	dup, gate, up, dy = dup[:n], gate[:n], up[:n], dy[:n]
	for i, x := range gate {
		r, u, d := sigmoid32(x), up[i], dy[i]
		dgate[i] = d * u * (r * (1 + x*(1-r)))
		dup[i] = d * (x * r)
	}
}
