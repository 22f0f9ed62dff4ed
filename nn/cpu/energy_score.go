package cpu

import (
	"math"

	"github.com/calm-go/calm/nn"
)

// energyScore works on a few positions at a time: it draws their M targets, computes all distances and, in training,
// forms the gradient of the predictions in the same pass:
//
//	dPred[n] = w Beta (2/(NM) sum_m |x_n-y_m|^(Beta-2) (x_n-y_m) - 2/(N(N-1)) sum_k |x_n-x_k|^(Beta-2) (x_n-x_k))
//
// where a distance of 0 contributes nothing. For Beta < 1 the slope |x-y|^(Beta-1) grows without bound as the distance
// goes to 0; powers keeps it finite. The draws of position p are the numbers from p*stride on of the stream of Eps,
// which is never in memory. If Program.Feed has set values, these are read instead.
type energyScore struct {
	noBackward
	p                       *Program
	op                      *nn.EnergyScore
	pred, mean, logStd, eps *buf
	weight                  *buf
	loss, distY, distX      *buf
	dpred                   *grad
	draws                   *fill // of Eps, nil if it is no random tensor
	n, m, np, z             int   // samples, targets, positions, latent size
	scale                   float64
	cut                     rows
	piece                   func(worker, i int)
}

func newEnergyScore(c *compiler, op *nn.EnergyScore) step {
	o := &energyScore{p: c.Program, op: op, pred: c.read(op.Pred), mean: c.read(op.Mean), logStd: c.read(op.LogStd),
		weight: c.read(op.Weight), loss: c.write(op.Loss), distY: c.write(op.DistY), distX: c.write(op.DistX),
		n: op.Pred.Dim(0), m: op.Eps.Dim(0), np: op.Pred.Dim(1), z: op.Pred.Dim(2)}
	if o.draws = c.random[op.Eps.Root()]; o.draws == nil {
		o.eps = c.read(op.Eps)
	} else if readers(c.graph, op.Eps) > 1 {
		panic("cpu: the targets of an energy score are read by another operation too")
	} else {
		o.draws.byOp = true
	}
	if w := c.graph.LossWeight(op.Loss); w != 0 && c.training {
		o.dpred = c.early(op.Pred)
		o.scale = float64(w)
	}
	o.cut = rows{o.np, max(1, (o.np+63)/64)}
	o.piece = o.positions
	return o
}

// readers counts how often operations read t.
func readers(g *nn.Graph, t *nn.Tensor) int {
	n := 0
	for _, op := range g.Ops() {
		for _, in := range op.Describe().In {
			if in.Root() == t.Root() {
				n++
			}
		}
	}
	return n
}

func (o *energyScore) forward() error {
	o.p.eng.pool.run(o.cut.pieces(), o.piece)
	var sum float64
	for p := range o.np {
		if w := weightOf(o.weight, p); w != 0 {
			sum += float64(w) * (2*float64(o.distY.f[p]) - float64(o.distX.f[p]))
		}
	}
	o.loss.f[0] = float32(sum / totalWeight(o.weight, o.np))
	return nil
}

// energyScratch is the memory of one thread for a position.
type energyScratch struct {
	y    []float32 // [M, Z]: the draws, then the targets
	std  []float32 // [Z]
	dist []float32 // [max(M, N)]: squared distances of a sample, then their factors in its gradient
}

func (o *energyScore) scratch(worker int) energyScratch {
	s := o.p.eng.pool.scratchAtLeast(worker, (o.m+1)*o.z+max(o.m, o.n))
	y, s := s[:o.m*o.z], s[o.m*o.z:]
	return energyScratch{y, s[:o.z], s[o.z:][:max(o.m, o.n)]}
}

func (o *energyScore) positions(worker, i int) {
	lo, hi := o.cut.piece(i)
	s := o.scratch(worker)
	perWeight := o.scale / totalWeight(o.weight, o.np)
	for p := lo; p < hi; p++ {
		var g []float32
		if o.dpred != nil {
			g = o.dpred.f[p*o.z:]
			if !o.dpred.adds(o.p) {
				for n := range o.n {
					clear(g[n*o.np*o.z:][:o.z])
				}
			}
		}
		o.position(s, p, g, perWeight*float64(weightOf(o.weight, p)))
	}
}

// position computes the distances of one position, of weight w. g begins at the gradient of its first sample.
func (o *energyScore) position(s energyScratch, p int, g []float32, w float64) {
	isa, z, ld := o.p.eng.isa, o.z, o.np*o.z
	x := o.pred.f[p*z:]
	mean := o.mean.f[p*z : (p+1)*z]
	isa.Exp(s.std, o.logStd.f[p*z:(p+1)*z])
	o.drawTargets(s, p)
	for m := range o.m {
		y := s.y[m*z : (m+1)*z]
		isa.MulAddTo(y, mean, s.std, y)
	}
	var toY, toX float64
	cY, cX := 2*w/float64(o.n*o.m), -2*w/float64(o.n*(o.n-1))
	for n := range o.n {
		xn := x[n*ld : n*ld+z]
		var gn []float32
		if g != nil {
			gn = g[n*ld : n*ld+z]
		}
		toY += o.distances(s.dist[:o.m], xn, s.y, z, cY, gn)
		toX += o.distances(s.dist[:o.n], xn, x, ld, cX, gn)
	}
	o.distY.f[p] = float32(toY / float64(o.n*o.m))
	o.distX.f[p] = float32(toX / float64(o.n*(o.n-1)))
}

// distances returns the sum of |x-y|^Beta over rows of y, as many as dist has room for, and adds the gradient of c times
// it to g, if not nil.
func (o *energyScore) distances(dist, x, y []float32, ldy int, c float64, g []float32) (sum float64) {
	isa := o.p.eng.isa
	isa.DistanceSquares(dist, y, ldy, x)
	if o.op.Beta == 1 {
		sum = float64(isa.Roots(dist, dist, float32(c)))
	} else {
		sum = o.powers(dist, c)
	}
	if g != nil {
		isa.AccumulateDifferences(g, x, y, ldy, dist)
	}
	return sum
}

// powers returns the sum of d^Beta over the squared distances and turns them into c Beta d^(Beta-2), 0 where d is 0. Times
// the difference, which is at most d, the coefficient gives a finite gradient for any Beta.
func (o *energyScore) powers(dist []float32, c float64) (sum float64) {
	beta := float64(o.op.Beta)
	for i, d2 := range dist {
		if d2 < leastSquare {
			dist[i] = 0
			continue
		}
		pow := math.Pow(float64(d2), beta/2)
		sum += pow
		dist[i] = float32(max(-math.MaxFloat32, min(c*beta*pow/float64(d2), math.MaxFloat32)))
	}
	return sum
}

// drawTargets puts the M draws of a position into scratch.
func (o *energyScore) drawTargets(s energyScratch, p int) {
	switch {
	case o.draws != nil && o.draws.fixed == nil:
		stride := (o.m*o.z + 63) / 64 * 64
		o.p.eng.isa.Normal(s.y, o.p.stream(o.draws.draws), p*stride)
		return
	case o.draws != nil:
		o.gather(s, o.draws.fixed, p)
	default:
		o.gather(s, o.eps.f, p)
	}
}

func (o *energyScore) gather(s energyScratch, eps []float32, p int) {
	for m := range o.m {
		copy(s.y[m*o.z:(m+1)*o.z], eps[(m*o.np+p)*o.z:])
	}
}

// leastSquare is the smallest squared distance that is not rounded to 0. Below it are float32's denormal numbers, which
// have fewer digits and whose d^(Beta-2) may be too large for a float32. So distances below 1.1e-19 count as 0.
const leastSquare = 0x1p-126
