package cpu

import (
	"fmt"
	"math"

	"github.com/calm-go/calm/nn"
)

// noisyTarget: Target = Mean + exp(LogStd)*Eps, Y = a*Target + s*Noise, row by row.
type noisyTarget struct {
	noBackward
	p                           *Program
	op                          *nn.NoisyTarget
	mean, logStd, eps, noise, t *buf
	target, y                   *buf
	np, z                       int
	cut                         rows
	fwd                         func(worker, i int)
}

func newNoisyTarget(c *compiler, op *nn.NoisyTarget) step {
	o := &noisyTarget{p: c.Program, op: op, mean: c.read(op.Mean), logStd: c.read(op.LogStd), eps: c.read(op.Eps), noise: c.read(op.Noise),
		t: c.read(op.T), target: c.write(op.Target), y: c.write(op.Y), np: op.Mean.Rows(), z: op.Mean.Cols()}
	o.cut = cutRows(op.Eps.Rows(), o.z)
	o.fwd = o.forwardPiece
	return o
}

func (o *noisyTarget) forward() error {
	if n := len(o.op.Signal); n > 0 {
		if err := checkTimes("a noisy target", o.t.f, n); err != nil {
			return err
		}
	}
	o.p.eng.pool.run(o.cut.pieces(), o.fwd)
	return nil
}

// checkTimes fails unless all times are whole numbers from 0 to n-1.
func checkTimes(what string, times []float32, n int) error {
	for i, t := range times {
		if !(t >= 0 && t < float32(n)) || t != float32(int(t)) {
			return fmt.Errorf("%s has time %v at [%d]: want a whole number from 0 to %d", what, t, i, n-1)
		}
	}
	return nil
}

func (o *noisyTarget) forwardPiece(worker, i int) {
	lo, hi := o.cut.piece(i)
	isa, z := o.p.eng.isa, o.z
	std := o.p.eng.pool.scratchAtLeast(worker, z)[:z]
	for r := lo; r < hi; r++ {
		p, at := r%o.np*z, r*z
		target, y := o.target.f[at:at+z], o.y.f[at:at+z]
		isa.Exp(std, o.logStd.f[p:p+z])
		isa.MulAddTo(target, o.mean.f[p:p+z], std, o.eps.f[at:at+z])
		t := o.t.f[r]
		signal, sigma := t, 1-t
		if o.op.Signal != nil {
			signal, sigma = o.op.Signal[int(t)], o.op.Sigma[int(t)]
		}
		isa.Scale(y, sigma, o.noise.f[at:at+z])
		isa.Axpy(y, signal, target)
	}
}

// rowLoss is what losses of rows [N, P] share: their mean under the weights of the positions.
type rowLoss struct {
	noBackward
	p      *Program
	weight *buf // [P], nil for ones
	n, np  int
	cut    rows
	piece  func(worker, i int)
}

// perWeight is what a row of weight 1 counts.
func (o *rowLoss) perWeight() float64 { return 1 / totalWeight(o.weight, o.n*o.np) }

// mean averages the terms of the rows; those of no weight are left out, whatever they are.
func (o *rowLoss) mean(terms []float32) float32 {
	sum := 0.
	for r, v := range terms {
		if w := weightOf(o.weight, r); w != 0 {
			sum += float64(w) * float64(v)
		}
	}
	return float32(sum * o.perWeight())
}

// flowLoss forms the gradient of the velocity at once, in training:
//
//	dV = w 2/Z (V - (Target - Noise))
type flowLoss struct {
	rowLoss
	v, target, noise *buf
	loss, terms      *buf
	dv               *grad
	scale            float64 // weight of the loss
	z                int
}

func newFlowLoss(c *compiler, op *nn.FlowLoss) step {
	o := &flowLoss{rowLoss: rowLoss{p: c.Program, weight: c.read(op.Weight), n: op.V.Dim(0), np: op.V.Dim(1)},
		v: c.read(op.V), target: c.read(op.Target), noise: c.read(op.Noise), loss: c.write(op.Loss), terms: c.write(op.Terms), z: op.V.Cols()}
	if w := c.graph.LossWeight(op.Loss); w != 0 && c.training {
		o.dv, o.scale = c.early(op.V), float64(w)
	}
	o.cut = cutRows(op.V.Rows(), o.z)
	o.piece = o.rows
	return o
}

func (o *flowLoss) forward() error {
	o.p.eng.pool.run(o.cut.pieces(), o.piece)
	o.loss.f[0] = o.mean(o.terms.f)
	return nil
}

func (o *flowLoss) rows(worker, i int) {
	lo, hi := o.cut.piece(i)
	isa, z, count := o.p.eng.isa, o.z, o.scale*o.perWeight()
	d := o.p.eng.pool.scratchAtLeast(worker, z)[:z]
	for r := lo; r < hi; r++ {
		at := r * z
		isa.Add(d, o.v.f[at:at+z], o.noise.f[at:at+z])
		isa.Axpy(d, -1, o.target.f[at:at+z])
		o.terms.f[r] = isa.SumSquares(d) / float32(z)
		isa.Scale(d, float32(count*float64(weightOf(o.weight, r))*2/float64(z)), d)
		o.dv.put(o.p, at, d)
	}
}

// diffusionLoss works in float64 and forms the gradient of the predictions at once, in training: of the noise from the
// squared error alone, of the variance from the bound alone.
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
	o.cut = cutRows(op.Target.Rows(), 8*o.z) // an element is worth several of others
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

// row measures one row and writes the gradient of its predictions, where it counts w, to g.
func (o *diffusionLoss) row(r int, w float64, g []float32) {
	z, t := o.z, int(o.t.f[r])
	least, span, coef := o.op.MinLog[t], o.op.MaxLog[t]-o.op.MinLog[t], o.op.Coef[t]
	precision := coef * coef * math.Exp(-least) // what d^2 counts at the least variance
	mse, bound := 0., 0.
	perMSE, perBound := 2*w/float64(z), w/(float64(z)*math.Ln2)
	for k := range z {
		d := float64(o.pred.f[2*r*z+k]) - float64(o.noise.f[r*z+k])
		above := (float64(o.pred.f[2*r*z+z+k]) + 1) / 2 * span // log variance over the least
		var nats, slope float64                                // and its derivative by above
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
