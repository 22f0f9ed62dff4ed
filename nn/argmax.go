package nn

// ArgMax gives the first largest logit of a linear layer. Logits exist for a chunk of the vocabulary at a time. It has
// no gradient.
//
//	IDs[i] = argmax_v H[i]·W[v]
type ArgMax struct {
	H   *Tensor // [.., D]
	W   *Tensor // [V, D]
	IDs *Tensor // [..] int32
}

// ArgMax adds an ArgMax operation and returns its IDs.
func (g *Graph) ArgMax(h, w *Tensor) *Tensor {
	check(len(w.shape) == 2 && w.Cols() == h.Cols(), "argmax", "h %v, w %v", h, w)
	ids := g.newTensor(Value, Int32, "", h.shape[:len(h.shape)-1])
	g.add(&ArgMax{H: h, W: w, IDs: ids})
	return ids
}

// Describe implements [Op].
func (o *ArgMax) Describe() Description {
	return Description{
		In:    []*Tensor{o.H, o.W},
		Out:   []*Tensor{o.IDs},
		Flops: Product(2 * float64(o.H.Size()) * float64(o.W.Dim(0))),
		Sizes: []int{o.H.Rows(), o.W.Dim(0), o.H.Cols()},
	}
}
