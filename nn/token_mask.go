package nn

// TokenMask replaces dropped tokens by id 0: the token masking of the autoencoder (docs/spec.md, section 2).
//
//	Y[i] = IDs[i] where Keep[i] != 0, else 0
type TokenMask struct {
	IDs  *Tensor // [..] int32
	Keep *Tensor // as many elements, float32
	Y    *Tensor // like IDs
}

// TokenMask adds a TokenMask operation and returns its Y.
func (g *Graph) TokenMask(ids, keep *Tensor) *Tensor {
	check(ids.dtype == Int32 && keep.Size() == ids.Size(), "token mask", "ids %v, keep %v", ids, keep)
	y := g.newTensor(Value, Int32, "", ids.shape)
	g.add(&TokenMask{IDs: ids, Keep: keep, Y: y})
	return y
}

// Describe implements [Op]. There is no gradient.
func (o *TokenMask) Describe() Description {
	return Description{In: []*Tensor{o.IDs, o.Keep}, Out: []*Tensor{o.Y}, Flops: NoProducts()}
}
