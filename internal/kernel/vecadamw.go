package kernel

import "math"

// AdamWStep holds the scalars of one AdamW update, rounded once from float64; see [NewAdamWStep].
type AdamWStep struct {
	GradScale float32 // the gradient is multiplied by it first: clipping, accumulation
	Decay     float32 // 1 - lr * weight decay
	Beta1C    float32 // 1 - beta1
	Beta2     float32 // beta2
	Beta2C    float32 // 1 - beta2
	InvBC2    float32 // 1 / sqrt(1 - beta2^t)
	Eps       float32 // eps
	StepSize  float32 // lr / (1 - beta1^t)
}

// NewAdamWStep returns the scalars of update number step, counted from 1.
func NewAdamWStep(lr, beta1, beta2, eps, weightDecay float64, step int, gradScale float64) AdamWStep {
	return AdamWStep{
		GradScale: float32(gradScale),
		Decay:     float32(1 - lr*weightDecay),
		Beta1C:    float32(1 - beta1),
		Beta2:     float32(beta2),
		Beta2C:    float32(1 - beta2),
		InvBC2:    float32(1 / math.Sqrt(1-math.Pow(beta2, float64(step)))),
		Eps:       float32(eps),
		StepSize:  float32(lr / (1 - math.Pow(beta1, float64(step)))),
	}
}

// AdamW updates the parameters p and the moments m and v by the gradient g, as torch.optim.AdamW does:
//
//	p *= 1 - lr * weightDecay
//	m += (1-beta1) * (g - m)
//	v  = beta2 * v + (1-beta2) * g^2
//	p -= lr / (1-beta1^t) * m / (sqrt(v) / sqrt(1-beta2^t) + eps)
func (s ISA) AdamW(p, g, m, v []float32, c AdamWStep) {
	checkLen("AdamW", "g", len(g), len(p))
	checkLen("AdamW", "m", len(m), len(p))
	checkLen("AdamW", "v", len(v), len(p))
	switch s {
	case AVX512:
		adamWAVX512(p, g, m, v, c.GradScale, c.Decay, c.Beta1C, c.Beta2, c.Beta2C, c.InvBC2, c.Eps, c.StepSize)
	case AVX2:
		adamWAVX2(p, g, m, v, c.GradScale, c.Decay, c.Beta1C, c.Beta2, c.Beta2C, c.InvBC2, c.Eps, c.StepSize)
	default:
		adamWGo(p, g, m, v, &c)
	}
}

func adamWGo(p, g, m, v []float32, c *AdamWStep) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	for i := range p {
		d := g[i] * c.GradScale
		mi := m[i] + c.Beta1C*(d-m[i])
		vi := c.Beta2*v[i] + c.Beta2C*d*d
		m[i], v[i] = mi, vi
		root := float32(math.Sqrt(float64(vi)))
		p[i] = p[i]*c.Decay - c.StepSize*mi/(root*c.InvBC2+c.Eps)
	}
}
