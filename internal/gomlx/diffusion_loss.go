package gomlx

import (
	"math"

	"github.com/calm-go/calm/nn"
	ml "github.com/gomlx/gomlx/core/graph"
)

func (tr *translator) diffusionLoss(op *nn.DiffusionLoss) {
	n, p, z := op.Target.Dim(0), op.Target.Dim(1), op.Target.Dim(2)
	pred := ml.Reshape(tr.in(op.Pred), n, p, 2*z)
	d := ml.Sub(ml.Slice(pred, ml.AxisRange(), ml.AxisRange(), ml.AxisRange(0, z)), tr.in(op.Noise))
	f := ml.MulScalar(ml.AddScalar(ml.Slice(pred, ml.AxisRange(), ml.AxisRange(), ml.AxisRange(z, 2*z)), 1.), .5)
	t := ml.Reshape(tr.in(op.T), n, p, 1)
	least, greatest := tr.lookUp(op.MinLog, t), tr.lookUp(op.MaxLog, t)
	logVariance := ml.Add(ml.Mul(f, greatest), ml.Mul(ml.Sub(ml.OnesLike(f), f), least))
	off := ml.StopGradient(ml.Mul(tr.lookUp(op.Coef, t), d))
	kl := ml.Add(ml.Sub(logVariance, least), ml.Exp(ml.Sub(least, logVariance)))
	kl = ml.MulScalar(ml.AddScalar(ml.Add(kl, ml.Mul(ml.Square(off), ml.Exp(ml.Neg(logVariance)))), -1.), .5)
	nats := ml.Where(ml.Equal(ml.Add(t, ml.ZerosLike(kl)), ml.ZerosLike(kl)), negativeLogBin(ml.StopGradient(tr.in(op.Target)), off, logVariance), kl)

	mse, bound := ml.ReduceMean(ml.Square(d), -1), ml.DivScalar(ml.ReduceMean(nats, -1), math.Ln2)
	meanMSE, meanBound := tr.weightedMean(mse, op.Weight), tr.weightedMean(bound, op.Weight)
	tr.out(op.MSE, mse)
	tr.out(op.Bound, bound)
	tr.out(op.MeanMSE, meanMSE)
	tr.out(op.MeanBound, meanBound)
	tr.out(op.Loss, ml.Add(meanMSE, meanBound))
}

// negativeLogBin is -log of the probability of the bin around x under a Gaussian of mean x - off.
func negativeLogBin(x, off, logVariance *ml.Node) *ml.Node {
	inverse := ml.Exp(ml.MulScalar(logVariance, -.5))
	cdf := func(half float64) *ml.Node {
		u := ml.Mul(inverse, ml.AddScalar(off, half))
		cube := ml.Mul(u, ml.Square(u))
		return ml.MulScalar(ml.AddScalar(ml.Tanh(ml.MulScalar(ml.Add(u, ml.MulScalar(cube, .044715)), math.Sqrt(2/math.Pi))), 1.), .5)
	}
	upper, lower := cdf(1./255), cdf(-1./255)
	edge := ml.MulScalar(ml.OnesLike(x), .999)
	upper = ml.Where(ml.GreaterThan(x, edge), ml.OnesLike(x), upper)
	lower = ml.Where(ml.LessThan(x, ml.Neg(edge)), ml.ZerosLike(x), lower)
	p, least := ml.Sub(upper, lower), ml.MulScalar(ml.OnesLike(x), 1e-12)
	return ml.Neg(ml.Log(ml.Where(ml.LessThan(p, least), least, p)))
}
