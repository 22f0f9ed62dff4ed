package nn

// CachedAttention appends keys and values to a cache and attends to all of it, for generation. It has no gradient.
//
//	KCache[b, Start[b]+t] = K[b,t], VCache[b, Start[b]+t] = V[b,t]
//	Y[b,t] = attention of Q[b,t] to positions 0 .. Start[b]+t of the caches, as in Attention
//
// Start[b]+T above the capacity is an error of the run.
type CachedAttention struct {
	Q, Y           *Tensor // [batch, T, Heads*d]
	K, V           *Tensor // [batch, T, KVHeads*d]
	KCache, VCache *Tensor // [batch, capacity, KVHeads*d], of role State; read and written
	Start          *Tensor // [batch] int32: how many positions of each cache are filled
	Heads, KVHeads int     // numbers of query heads and of key-value heads, which divides the former
}

// CachedAttention adds a CachedAttention operation and returns its Y.
func (g *Graph) CachedAttention(q, k, v, kCache, vCache, start *Tensor, heads, kvHeads int) *Tensor {
	checkHeads("cached attention", q, k, v, heads, kvHeads)
	check(kCache.role == State && vCache.role == State, "cached attention", "the caches are no states")
	check(len(kCache.shape) == 3 && kCache.Dim(0) == q.Dim(0) && kCache.Cols() == k.Cols() && vCache.is(kCache.shape...),
		"cached attention", "k %v, caches %v, %v", k, kCache, vCache)
	check(start.dtype == Int32 && start.is(q.Dim(0)), "cached attention", "start %v", start)
	y := g.value(q.shape...)
	g.add(&CachedAttention{Q: q, K: k, V: v, KCache: kCache, VCache: vCache, Start: start, Y: y, Heads: heads, KVHeads: kvHeads})
	return y
}

// Describe implements [Op]. The FLOPs are those of a full cache.
func (o *CachedAttention) Describe() Description {
	return Description{
		In:     []*Tensor{o.Q, o.K, o.V, o.KCache, o.VCache, o.Start},
		Out:    []*Tensor{o.Y},
		Writes: []*Tensor{o.KCache, o.VCache},
		Flops:  &Flops{Forward: 4 * float64(o.Q.Size()) * float64(o.KCache.Dim(1)), Attention: true},
	}
}
