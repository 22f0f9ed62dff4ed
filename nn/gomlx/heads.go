package gomlx

import (
	"math"

	"github.com/calm-go/calm/nn"
	"github.com/gomlx/compute/dtypes"
	ml "github.com/gomlx/gomlx/core/graph"
)

// groups returns x as [n, rows, cols], of the rows that part has.
func (tr *translator) groups(x, part *nn.Tensor) *ml.Node {
	return ml.Reshape(tr.in(x), x.Rows()/part.Rows(), part.Rows(), part.Cols())
}

// repeating returns x as [1, rows, cols].
func (tr *translator) repeating(x *nn.Tensor) *ml.Node {
	return ml.Reshape(tr.in(x), 1, x.Rows(), x.Cols())
}

func (tr *translator) sinusoid(op *nn.Sinusoid) {
	half := op.Y.Cols() / 2
	frequencies := make([]float64, half)
	for j := range frequencies {
		frequencies[j] = math.Pow(10000, -float64(j)/float64(half))
	}
	// The product is float32's by definition.
	t := ml.MulScalar(ml.ConvertDType(tr.in(op.T), dtypes.Float32), op.Scale)
	t = ml.Floor(ml.ConvertDType(ml.Reshape(t, op.T.Size(), 1), tr.dtype))
	angle := ml.Mul(t, ml.Reshape(ml.Const(tr.g, frequencies), 1, half))
	tr.out(op.Y, ml.Concatenate([]*ml.Node{ml.Cos(angle), ml.Sin(angle)}, -1))
}

func (tr *translator) noisyTarget(op *nn.NoisyTarget) {
	target := ml.Add(tr.repeating(op.Mean), ml.Mul(ml.Exp(tr.repeating(op.LogStd)), tr.in(op.Eps)))
	t := ml.Reshape(tr.in(op.T), op.Eps.Dim(0), op.Eps.Dim(1), 1)
	signal, sigma := t, ml.Sub(ml.OnesLike(t), t)
	if op.Signal != nil {
		signal, sigma = tr.lookUp(wide(op.Signal), t), tr.lookUp(wide(op.Sigma), t)
	}
	target = ml.StopGradient(target)
	tr.out(op.Target, target)
	tr.out(op.Y, ml.Add(ml.Mul(signal, target), ml.Mul(sigma, tr.in(op.Noise))))
}

func (tr *translator) flowLoss(op *nn.FlowLoss) {
	d := ml.Sub(tr.in(op.V), ml.StopGradient(ml.Sub(tr.in(op.Target), tr.in(op.Noise))))
	terms := ml.ReduceMean(ml.Square(d), -1)
	tr.out(op.Terms, terms)
	tr.out(op.Loss, tr.weightedMean(terms, op.Weight))
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// lookUp returns the entries of a table at whole numbers, in their shape.
func (tr *translator) lookUp(table []float64, at *ml.Node) *ml.Node {
	dims := at.Shape().Dimensions
	index := ml.Reshape(ml.ConvertDType(at, dtypes.Int32), at.Shape().Size(), 1)
	return ml.Reshape(ml.Gather(ml.Reshape(ml.Const(tr.g, table), len(table), 1), index), dims...)
}

// weightedMean is the mean of terms [N, P] under the weights of positions, 0 without weight.
func (tr *translator) weightedMean(terms *ml.Node, weight *nn.Tensor) *ml.Node {
	w := ml.OnesLike(terms)
	if weight != nil {
		w = ml.Mul(w, ml.Reshape(tr.in(weight), 1, weight.Size()))
	}
	total := ml.ReduceAllSum(w)
	total = ml.Where(ml.Equal(total, ml.ZerosLike(total)), ml.OnesLike(total), total)
	return ml.Div(ml.ReduceAllSum(ml.Mul(w, terms)), total)
}

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
