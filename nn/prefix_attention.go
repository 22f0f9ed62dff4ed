package nn

// PrefixAttention is the attention of shared-prefix decoding: rows of a few positions each continue contexts, and all
// rows read the same keys and values of these. Row r continues the first Length[r] positions of context Context[r].
// Nothing is copied. It has no gradient.
//
//	Y[r,t] = attention of Q[r,t] to KPrefix[Context[r], 0 .. Length[r]-1] followed by K[r, 0 .. t], and to VPrefix and V
//	         likewise, as in Attention
//
// A row of context -1 is absent: its Y is 0. Any other context or length that does not exist is an error of the run.
// Rows of one context that follow each other are computed together; this order is the fastest.
type PrefixAttention struct {
	Q, Y             *Tensor // [R, T, Heads*d]
	K, V             *Tensor // [R, T, KVHeads*d]
	KPrefix, VPrefix *Tensor // [contexts, positions, KVHeads*d]
	Context          *Tensor // [R] int32: the context of each row, -1 for an absent row
	Length           *Tensor // [R] int32: positions of the context that the row continues
	Heads, KVHeads   int     // numbers of query heads and of key-value heads, which divides the former
}

// PrefixAttention adds a PrefixAttention operation and returns its Y.
func (g *Graph) PrefixAttention(q, k, v, kPrefix, vPrefix, context, length *Tensor, heads, kvHeads int) *Tensor {
	checkHeads("prefix attention", q, k, v, heads, kvHeads)
	check(len(kPrefix.shape) == 3 && kPrefix.Cols() == k.Cols() && vPrefix.is(kPrefix.shape...),
		"prefix attention", "k %v, prefixes %v, %v", k, kPrefix, vPrefix)
	check(context.dtype == Int32 && context.is(q.Dim(0)) && length.dtype == Int32 && length.is(q.Dim(0)),
		"prefix attention", "q %v, context %v, length %v", q, context, length)
	y := g.value(q.shape...)
	g.add(&PrefixAttention{Q: q, K: k, V: v, KPrefix: kPrefix, VPrefix: vPrefix, Context: context, Length: length, Y: y,
		Heads: heads, KVHeads: kvHeads})
	return y
}

// Describe implements [Op]. The FLOPs are those of full contexts and the lower triangle of each row's own positions.
func (o *PrefixAttention) Describe() Description {
	keys := float64(o.KPrefix.Dim(1)) + float64(o.Q.Dim(1)+1)/2
	return Description{
		In:    []*Tensor{o.Q, o.K, o.V, o.KPrefix, o.VPrefix, o.Context, o.Length},
		Out:   []*Tensor{o.Y},
		Flops: &Flops{Forward: 4 * float64(o.Q.Size()) * keys, Attention: true},
	}
}
