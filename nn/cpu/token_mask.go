package cpu

import "github.com/calm-go/calm/nn"

// tokenMask: Y[i] = IDs[i] where Keep[i] != 0, else 0.
type tokenMask struct {
	noBackward
	ids, y []int32
	keep   *buf
}

func newTokenMask(c *compiler, op *nn.TokenMask) step {
	return &tokenMask{ids: c.ints[op.IDs.Root().ID()], y: c.ints[op.Y.ID()], keep: c.read(op.Keep)}
}

func (o *tokenMask) forward() error {
	for i, id := range o.ids {
		if o.keep.f[i] == 0 {
			id = 0
		}
		o.y[i] = id
	}
	return nil
}
