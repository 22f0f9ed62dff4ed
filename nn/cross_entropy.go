package nn

// CrossEntropy is the softmax cross entropy of a linear layer's logits. Logits exist for a chunk of rows at a time. In
// training, the forward run computes the gradients too, so that nothing is computed twice.
//
//	logits = H · W^T
//	Loss = mean over counted rows of -log softmax(logits)[label]
//	Hits = number of counted rows whose first largest logit is the label's
//	Brier = mean over counted rows of 2 p[label] - sum p^2, p = softmax(logits) (docs/spec.md, section 4)
//
// A row of label -100 is not counted. With no row counted, all three are 0. Any other label outside [0, V) is an error
// of the run. Gradients flow from Loss alone.
type CrossEntropy struct {
	H      *Tensor // [.., D] of n rows
	W      *Tensor // [V, D]
	Labels *Tensor // [..] int32 of n elements
	Loss   *Tensor // [], a loss
	Hits   *Tensor // []
	Brier  *Tensor // []
}

// CrossEntropy adds a CrossEntropy operation.
func (g *Graph) CrossEntropy(h, w, labels *Tensor) *CrossEntropy {
	check(len(w.shape) == 2 && w.Cols() == h.Cols() && labels.dtype == Int32 && labels.Size() == h.Rows(),
		"cross entropy", "h %v, w %v, labels %v", h, w, labels)
	o := &CrossEntropy{H: h, W: w, Labels: labels, Loss: g.value(), Hits: g.value(), Brier: g.value()}
	g.add(o)
	return o
}

// Describe implements [Op].
func (o *CrossEntropy) Describe() Description {
	return Description{
		In:    []*Tensor{o.H, o.W, o.Labels},
		Out:   []*Tensor{o.Loss, o.Hits, o.Brier},
		Grad:  []*Tensor{o.H, o.W},
		Loss:  o.Loss,
		Flops: Product(2*float64(o.H.Size())*float64(o.W.Dim(0)), o.H, o.W),
		Sizes: []int{o.H.Rows(), o.W.Dim(0), o.H.Cols()},
	}
}
