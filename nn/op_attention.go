package nn

// Rotary turns each pair (x_i, x_{i+d/2}) of a head by position * Theta^(-2i/d), the half-split layout of Llama.
//
//	X, Y [batch, T, Heads*d]; the row t of batch b stands at position Start[b] + t; Start [batch] int32, or nil for 0
type Rotary struct {
	X, Start, Y *Tensor
	Heads       int
	Theta       float64
}

// Rotary adds a Rotary operation; start may be nil. It is differentiable only without start.
func (g *Graph) Rotary(x, start *Tensor, heads int, theta float64) *Tensor {
	check(len(x.shape) == 3 && x.Cols()%(2*heads) == 0, "rotary", "x %v, %d heads", x, heads)
	check(start == nil || start.dtype == Int32 && start.is(x.Dim(0)), "rotary", "x %v, start %v", x, start)
	y := g.value(x.shape...)
	g.add(&Rotary{x, start, y, heads, theta})
	return y
}

// In implements [Op].
func (o *Rotary) In() []*Tensor { return present(o.X, o.Start) }

// Out implements [Op].
func (o *Rotary) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *Rotary) Flops() float64 { return 0 }

// Attention is causal softmax attention with grouped heads. No [T, T] matrix is kept.
//
//	Y[b,t,h] = sum_{s<=t} softmax_s(Q[b,t,h]·K[b,s,h'] / sqrt(d)) V[b,s,h'], h' = h / (Heads/KVHeads)
//	Q, Y [batch, T, Heads*d]; K, V [batch, T, KVHeads*d]
type Attention struct {
	Q, K, V, Y     *Tensor
	Heads, KVHeads int
}

// Attention adds an Attention operation.
func (g *Graph) Attention(q, k, v *Tensor, heads, kvHeads int) *Tensor {
	checkHeads("attention", q, k, v, heads, kvHeads)
	y := g.value(q.shape...)
	g.add(&Attention{q, k, v, y, heads, kvHeads})
	return y
}

func checkHeads(op string, q, k, v *Tensor, heads, kvHeads int) {
	check(len(q.shape) == 3 && heads > 0 && q.Cols()%heads == 0 && heads%kvHeads == 0, op, "q %v, %d heads, %d of keys", q, heads, kvHeads)
	check(k.is(q.Dim(0), q.Dim(1), q.Cols()/heads*kvHeads) && v.is(k.shape...), op, "q %v, k %v, v %v", q, k, v)
}

// In implements [Op].
func (o *Attention) In() []*Tensor { return []*Tensor{o.Q, o.K, o.V} }

// Out implements [Op].
func (o *Attention) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops counts the lower triangle only.
func (o *Attention) Flops() float64 {
	b, t := float64(o.Q.Dim(0)), float64(o.Q.Dim(1))
	return 2 * b * t * (t + 1) * float64(o.Q.Cols())
}

// CachedAttention appends keys and values to a cache and attends to all of it, for generation. It has no gradient.
//
//	KCache[b, Start[b]+t] = K[b,t], likewise V; then Y[b,t] as in Attention over positions 0 .. Start[b]+t
//	Q, Y [batch, T, Heads*d]; K, V [batch, T, KVHeads*d]; KCache, VCache [batch, capacity, KVHeads*d] (State);
//	Start [batch] int32. Start[b]+T above the capacity is an error of the run.
type CachedAttention struct {
	Q, K, V, KCache, VCache, Start, Y *Tensor
	Heads, KVHeads                    int
}

// CachedAttention adds a CachedAttention operation.
func (g *Graph) CachedAttention(q, k, v, kCache, vCache, start *Tensor, heads, kvHeads int) *Tensor {
	checkHeads("cached attention", q, k, v, heads, kvHeads)
	check(kCache.role == State && vCache.role == State, "cached attention", "the caches are no states")
	check(len(kCache.shape) == 3 && kCache.Dim(0) == q.Dim(0) && kCache.Cols() == k.Cols() && vCache.is(kCache.shape...),
		"cached attention", "k %v, caches %v, %v", k, kCache, vCache)
	check(start.dtype == Int32 && start.is(q.Dim(0)), "cached attention", "start %v", start)
	y := g.value(q.shape...)
	g.add(&CachedAttention{q, k, v, kCache, vCache, start, y, heads, kvHeads})
	return y
}

// In implements [Op].
func (o *CachedAttention) In() []*Tensor {
	return []*Tensor{o.Q, o.K, o.V, o.KCache, o.VCache, o.Start}
}

// Out implements [Op].
func (o *CachedAttention) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops counts a full cache.
func (o *CachedAttention) Flops() float64 {
	return 4 * float64(o.Q.Size()) * float64(o.KCache.Dim(1))
}

// PrefixAttention is attention of short continuations of shared contexts: row r stands behind the first Length[r]
// positions of context Context[r], whose keys and values all rows share. Nothing is copied.
//
//	Y[r,t] as in Attention over KPrefix[Context[r], 0 .. Length[r]-1] followed by K[r, 0 .. t], likewise V
//	Q, Y [R, T, Heads*d]; K, V [R, T, KVHeads*d]; KPrefix, VPrefix [contexts, positions, KVHeads*d]; Context, Length [R] int32
//
// The Y of a row of context -1 is 0: there is no such row. Other contexts and lengths that do not exist are an error of
// the run. Rows of one context that stand side by side go fastest. It has no gradient.
type PrefixAttention struct {
	Q, K, V, KPrefix, VPrefix, Context, Length, Y *Tensor
	Heads, KVHeads                                int
}

// PrefixAttention adds a PrefixAttention operation.
func (g *Graph) PrefixAttention(q, k, v, kPrefix, vPrefix, context, length *Tensor, heads, kvHeads int) *Tensor {
	checkHeads("prefix attention", q, k, v, heads, kvHeads)
	check(len(kPrefix.shape) == 3 && kPrefix.Cols() == k.Cols() && vPrefix.is(kPrefix.shape...),
		"prefix attention", "k %v, prefixes %v, %v", k, kPrefix, vPrefix)
	check(context.dtype == Int32 && context.is(q.Dim(0)) && length.dtype == Int32 && length.is(q.Dim(0)),
		"prefix attention", "q %v, context %v, length %v", q, context, length)
	y := g.value(q.shape...)
	g.add(&PrefixAttention{q, k, v, kPrefix, vPrefix, context, length, y, heads, kvHeads})
	return y
}

// In implements [Op].
func (o *PrefixAttention) In() []*Tensor {
	return []*Tensor{o.Q, o.K, o.V, o.KPrefix, o.VPrefix, o.Context, o.Length}
}

// Out implements [Op].
func (o *PrefixAttention) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops counts full contexts.
func (o *PrefixAttention) Flops() float64 {
	return 4 * float64(o.Q.Size()) * (float64(o.KPrefix.Dim(1)) + float64(o.Q.Dim(1)+1)/2)
}
