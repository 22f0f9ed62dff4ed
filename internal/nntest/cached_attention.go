package nntest

import (
	"fmt"
	"slices"
)

// cachedAttentionCases are cases of [nn.CachedAttention].
func cachedAttentionCases() []Case {
	return []Case{
		cachedAttention(1, 1, 1, 1, 2, 1, 0), cachedAttention(3, 1, 4, 2, 6, 40, 0, 39, 7),
		cachedAttention(2, 5, 2, 1, 3, 9, 4, 0), cachedAttention(2, 67, 4, 2, 8, 150, 83, 1),
	}
}

// cachedAttention appends t positions to caches of which start positions are filled.
func cachedAttention(batch, t, heads, kv, d, capacity int, start ...int32) Case {
	return Case{Op: "CachedAttention", Shape: fmt.Sprintf("%dx%d heads=%d/%d d=%d capacity=%d start=%v", batch, t, heads, kv, d, capacity, start),
		Tolerance: 1e-5,
		Build: func(b *Builder) {
			q, k, v := b.Param("q", -2, 2, batch, t, heads*d), b.Param("k", -2, 2, batch, t, kv*d), b.Param("v", -1, 1, batch, t, kv*d)
			kCache, vCache := b.State("k cache", -2, 2, batch, capacity, kv*d), b.State("v cache", -1, 1, batch, capacity, kv*d)
			b.Output(b.Graph.CachedAttention(q, k, v, kCache, vCache, b.IDs("start", 1, start, batch), heads, kv), kCache, vCache)
		},
		Reference: func(x Values) [][]float64 {
			kCache, vCache := slices.Clone(x.F("k cache")), slices.Clone(x.F("v cache"))
			y := make([]float64, batch*t*heads*d)
			for b := range batch {
				from, at := b*t*kv*d, (b*capacity+int(start[b]))*kv*d
				copy(kCache[at:at+t*kv*d], x.F("k")[from:])
				copy(vCache[at:at+t*kv*d], x.F("v")[from:])
				for i := range t * heads {
					q, g := (b*t*heads+i)*d, b*capacity*kv*d+i%heads/(heads/kv)*d
					attendRow(y[q:q+d], x.F("q")[q:], kCache[g:], vCache[g:], int(start[b])+i/heads+1, kv*d)
				}
			}
			return [][]float64{y, kCache, vCache}
		}}
}
