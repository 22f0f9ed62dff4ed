package cpu

import "github.com/calm-go/calm/nn"

func newRMSNorm(c *compiler, op *nn.RMSNorm) step {
	return newNorm(c, op.X, op.W, nil, op.Y, op.Eps, false)
}
