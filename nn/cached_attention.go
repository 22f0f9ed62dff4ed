package nn

// CachedAttention appends keys and values to caches and attends to all of a row's own, for generation. A row keeps them
// in a slot of the caches. It has no gradient. Where Slot[b] is not -1:
//
//	KCache[Slot[b], Start[b]+t] = K[b,t], VCache[Slot[b], Start[b]+t] = V[b,t]
//	Y[b,t] = attention of Q[b,t] to positions 0 .. Start[b]+t of the slot, as in Attention
//
// A row of slot -1 is absent: its Y is 0, and nothing is written. Any other slot that does not exist, one that two rows
// have, and a Start[b]+T above the capacity are errors of the run; then nothing is written. What a row gives does not
// depend on its slot, on the other rows or on the capacity.
type CachedAttention struct {
	Q, Y           *Tensor // [batch, T, Heads*d]
	K, V           *Tensor // [batch, T, KVHeads*d]
	KCache, VCache *Tensor // [slots, capacity, KVHeads*d], of role State; read and written
	Slot           *Tensor // [batch] int32: the slot of each row, -1 for an absent row
	Start          *Tensor // [batch] int32: how many positions of the slot are filled
	Heads, KVHeads int     // numbers of query heads and of key-value heads, which divides the former
}

// CachedAttention adds a CachedAttention operation and returns its Y.
func (g *Graph) CachedAttention(q, k, v, kCache, vCache, slot, start *Tensor, heads, kvHeads int) *Tensor {
	checkHeads("cached attention", q, k, v, heads, kvHeads)
	check(kCache.role == State && vCache.role == State, "cached attention", "the caches are no states")
	check(len(kCache.shape) == 3 && kCache.Cols() == k.Cols() && vCache.is(kCache.shape...),
		"cached attention", "k %v, caches %v, %v", k, kCache, vCache)
	check(slot.dtype == Int32 && slot.is(q.Dim(0)) && start.dtype == Int32 && start.is(q.Dim(0)),
		"cached attention", "q %v, slot %v, start %v", q, slot, start)
	y := g.value(q.shape...)
	g.add(&CachedAttention{Q: q, K: k, V: v, KCache: kCache, VCache: vCache, Slot: slot, Start: start, Y: y,
		Heads: heads, KVHeads: kvHeads})
	return y
}

// Describe implements [Op]. The FLOPs are those of full slots.
func (o *CachedAttention) Describe() Description {
	return Description{
		In:     []*Tensor{o.Q, o.K, o.V, o.KCache, o.VCache, o.Slot, o.Start},
		Out:    []*Tensor{o.Y},
		Writes: []*Tensor{o.KCache, o.VCache},
		Flops:  &Flops{Forward: 4 * float64(o.Q.Size()) * float64(o.KCache.Dim(1)), Attention: true},
	}
}
