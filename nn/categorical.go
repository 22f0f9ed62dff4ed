package nn

// Categorical measures the distributions of a linear layer's logits, row by row, and draws from them, for evaluation.
// Logits exist for a chunk of rows at a time. It has no gradient.
//
//	p[i] = softmax(H[i] · W^T)
//	LogP[i] = log p[i][Labels[i]], 0 where the label is -100
//	Collision[i] = sum_v p[i][v]^2, the probability that two draws are equal
//	Best[i] = argmax_v p[i][v], the first of them
//	Draws[s,i] = the first v at which p[i][0] + .. + p[i][v] exceeds U[s,i]
//
// Any other label outside [0, V) is an error of the run.
type Categorical struct {
	H         *Tensor // [.., D] of n rows
	W         *Tensor // [V, D]
	Labels    *Tensor // [..] int32 of n elements
	U         *Tensor // [S, n], in [0, 1)
	LogP      *Tensor // [n], in nats
	Collision *Tensor // [n]
	Best      *Tensor // [n] int32
	Draws     *Tensor // [S, n] int32
}

// Categorical adds a Categorical operation.
func (g *Graph) Categorical(h, w, labels, u *Tensor) *Categorical {
	n := h.Rows()
	check(len(w.shape) == 2 && w.Cols() == h.Cols() && labels.dtype == Int32 && labels.Size() == n,
		"categorical", "h %v, w %v, labels %v", h, w, labels)
	check(len(u.shape) == 2 && u.Dim(1) == n, "categorical", "h %v, u %v", h, u)
	o := &Categorical{H: h, W: w, Labels: labels, U: u, LogP: g.value(n), Collision: g.value(n),
		Best: g.newTensor(Value, Int32, "", []int{n}), Draws: g.newTensor(Value, Int32, "", u.shape)}
	g.add(o)
	return o
}

// Describe implements [Op].
func (o *Categorical) Describe() Description {
	return Description{
		In:    []*Tensor{o.H, o.W, o.Labels, o.U},
		Out:   []*Tensor{o.LogP, o.Collision, o.Best, o.Draws},
		Flops: Product(2 * float64(o.H.Size()) * float64(o.W.Dim(0))),
		Sizes: []int{o.H.Rows(), o.W.Dim(0), o.H.Cols()},
	}
}
