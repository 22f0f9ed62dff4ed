package cpu

import "github.com/calm-go/calm/nn"

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
