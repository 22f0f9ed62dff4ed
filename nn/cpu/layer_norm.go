package cpu

import "github.com/calm-go/calm/nn"

func newLayerNorm(c *compiler, op *nn.LayerNorm) step {
	return newNorm(c, op.X, op.W, op.B, op.Y, op.Eps, true)
}
