package cpu

import (
	"math"

	"github.com/calm-go/calm/nn"
)

// diffusionLoss works in float64. In training it forms the gradient of the predictions in the forward run: that of the
// noise from the squared error alone, that of the variance from the bound alone.
type diffusionLoss struct {
	rowLoss
	op                       *nn.DiffusionLoss
	pred, target, noise, t   *buf
	loss, meanMSE, meanBound *buf
	mse, bound               *buf
	dpred                    *grad
	scale                    float64 // weight of the loss
	z                        int
}

func newDiffusionLoss(c *compiler, op *nn.DiffusionLoss) step {
	o := &diffusionLoss{rowLoss: rowLoss{p: c.Program, weight: c.read(op.Weight), n: op.Target.Dim(0), np: op.Target.Dim(1)}, op: op,
		pred: c.read(op.Pred), target: c.read(op.Target), noise: c.read(op.Noise), t: c.read(op.T), loss: c.write(op.Loss),
		meanMSE: c.write(op.MeanMSE), meanBound: c.write(op.MeanBound), mse: c.write(op.MSE), bound: c.write(op.Bound), z: op.Target.Cols()}
	if w := c.graph.LossWeight(op.Loss); w != 0 && c.training {
		o.dpred, o.scale = c.early(op.Pred), float64(w)
	}
	o.cut = cutRows(op.Target.Rows(), 8*o.z) // an element costs as much as several of other operations
	o.piece = o.rows
	return o
}

func (o *diffusionLoss) forward() error {
	if err := checkTimes("a diffusion loss", o.t.f, len(o.op.MinLog)); err != nil {
		return err
	}
	o.p.eng.pool.run(o.cut.pieces(), o.piece)
	o.meanMSE.f[0], o.meanBound.f[0] = o.mean(o.mse.f), o.mean(o.bound.f)
	o.loss.f[0] = o.meanMSE.f[0] + o.meanBound.f[0]
	return nil
}

func (o *diffusionLoss) rows(worker, i int) {
	lo, hi := o.cut.piece(i)
	z, count := o.z, o.scale*o.perWeight()
	g := o.p.eng.pool.scratchAtLeast(worker, 2*z)[:2*z]
	for r := lo; r < hi; r++ {
		o.row(r, count*float64(weightOf(o.weight, r)), g)
		o.dpred.put(o.p, 2*r*z, g)
	}
}

// row computes the terms of one row and writes the gradient of its predictions, times the row's weight w, to g.
func (o *diffusionLoss) row(r int, w float64, g []float32) {
	z, t := o.z, int(o.t.f[r])
	least, span, coef := o.op.MinLog[t], o.op.MaxLog[t]-o.op.MinLog[t], o.op.Coef[t]
	precision := coef * coef * math.Exp(-least) // factor of d^2 at the smallest variance
	mse, bound := 0., 0.
	perMSE, perBound := 2*w/float64(z), w/(float64(z)*math.Ln2)
	for k := range z {
		d := float64(o.pred.f[2*r*z+k]) - float64(o.noise.f[r*z+k])
		above := (float64(o.pred.f[2*r*z+z+k]) + 1) / 2 * span // log variance minus that of the smallest
		var nats, slope float64                                // slope: the derivative by above
		if t == 0 {
			nats, slope = discretised(float64(o.target.f[r*z+k]), coef*d, least+above)
		} else {
			inverse := math.Exp(-above)
			off := 1 + d*d*precision
			nats = .5 * (above - 1 + inverse*off)
			slope = .5 * (1 - inverse*off)
		}
		mse += d * d
		bound += nats
		g[k] = float32(perMSE * d)
		g[z+k] = float32(perBound * slope * span / 2)
	}
	o.mse.f[r] = float32(mse / float64(z))
	o.bound.f[r] = float32(bound / (float64(z) * math.Ln2))
}

// discretised returns the negative log likelihood of the bin of x under a Gaussian of mean x - off, and its derivative by
// the logarithm of the variance.
func discretised(x, off, logVariance float64) (nats, slope float64) {
	const half, edge, least = 1. / 255, .999, 1e-12
	inverse := math.Exp(-.5 * logVariance)
	upper, lower := inverse*(off+half), inverse*(off-half)
	p, dp := 0., 0. // the bin's probability, and its derivative by the logarithm of the deviation
	if x <= edge {
		cdf, density := approximateNormal(upper)
		p, dp = cdf, -density*upper
	} else {
		p = 1
	}
	if x >= -edge {
		cdf, density := approximateNormal(lower)
		p, dp = p-cdf, dp+density*lower
	}
	if p < least {
		return -math.Log(least), 0
	}
	return -math.Log(p), -.5 * dp / p
}

// approximateNormal returns .5(1+tanh(sqrt(2/pi)(u+.044715u^3))) and its derivative.
func approximateNormal(u float64) (cdf, density float64) {
	const root, cubic = 0.7978845608028654, .044715 // sqrt(2/pi)
	th := math.Tanh(root * (u + cubic*u*u*u))
	return .5 * (1 + th), .5 * (1 - th*th) * root * (1 + 3*cubic*u*u)
}
