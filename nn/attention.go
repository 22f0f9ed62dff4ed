package nn

// Attention is causal softmax attention with grouped key-value heads. No [T, T] matrix is kept.
//
//	Y[b,t,h] = sum_{s<=t} softmax_s(Q[b,t,h]·K[b,s,h'] / sqrt(d)) V[b,s,h'], h' = h / (Heads/KVHeads)
type Attention struct {
	Q, Y           *Tensor // [batch, T, Heads*d]
	K, V           *Tensor // [batch, T, KVHeads*d]
	Heads, KVHeads int     // numbers of query heads and of key-value heads, which divides the former
}

// Attention adds an Attention operation and returns its Y.
func (g *Graph) Attention(q, k, v *Tensor, heads, kvHeads int) *Tensor {
	checkHeads("attention", q, k, v, heads, kvHeads)
	y := g.value(q.shape...)
	g.add(&Attention{Q: q, K: k, V: v, Y: y, Heads: heads, KVHeads: kvHeads})
	return y
}

// checkHeads panics unless q [batch, T, heads*d] and k, v [batch, T, kvHeads*d] belong together.
func checkHeads(op string, q, k, v *Tensor, heads, kvHeads int) {
	check(len(q.shape) == 3 && heads > 0 && q.Cols()%heads == 0 && heads%kvHeads == 0, op, "q %v, %d heads, %d of keys", q, heads, kvHeads)
	check(k.is(q.Dim(0), q.Dim(1), q.Cols()/heads*kvHeads) && v.is(k.shape...), op, "q %v, k %v, v %v", q, k, v)
}

// Describe implements [Op]. FLOPs count the pairs of the lower triangle, which is all that is computed. A pair takes a
// product with a key and one with a value forward, and two products for each of these backward.
func (o *Attention) Describe() Description {
	in := []*Tensor{o.Q, o.K, o.V}
	b, t := float64(o.Q.Dim(0)), float64(o.Q.Dim(1))
	forward := 2 * b * t * (t + 1) * float64(o.Q.Cols())
	return Description{
		In:   in,
		Out:  []*Tensor{o.Y},
		Grad: in,
		Flops: &Flops{Forward: forward, Attention: true, Backward: func(needs func(*Tensor) bool) float64 {
			if needs(o.Q) || needs(o.K) || needs(o.V) {
				return 2 * forward
			}
			return 0
		}},
		Sizes: []int{o.Q.Dim(0), o.Q.Dim(1), o.Q.Cols()},
	}
}
