package nntest

import (
	"fmt"
	"slices"
)

// cachedAttentionCases are cases of [nn.CachedAttention].
func cachedAttentionCases() []Case {
	return []Case{
		cachedAttention(1, 1, 1, 2, 1, []int32{0}, 1, []int32{0}),
		cachedAttention(1, 4, 2, 6, 3, []int32{2, 0, 1}, 40, []int32{0, 39, 7}),
		cachedAttention(5, 2, 1, 3, 2, []int32{0, 1}, 9, []int32{4, 0}),
		cachedAttention(3, 2, 1, 5, 7, []int32{6, -1, 3, 0, -1}, 12, []int32{9, 99, 0, 4, -5}),
		cachedAttention(67, 4, 2, 8, 3, []int32{-1, 1, 2}, 150, []int32{0, 83, 1}),
	}
}

// cachedAttention appends t positions to slots of caches of which start positions are filled.
func cachedAttention(t, heads, kv, d, slots int, slot []int32, capacity int, start []int32) Case {
	batch := len(slot)
	return Case{Op: "CachedAttention", Tolerance: 1e-5,
		Shape: fmt.Sprintf("%dx%d heads=%d/%d d=%d slots=%v of %d capacity=%d start=%v", batch, t, heads, kv, d, slot, slots, capacity, start),
		Build: func(b *Builder) {
			q, k, v := b.Param("q", -2, 2, batch, t, heads*d), b.Param("k", -2, 2, batch, t, kv*d), b.Param("v", -1, 1, batch, t, kv*d)
			kCache, vCache := b.State("k cache", -2, 2, slots, capacity, kv*d), b.State("v cache", -1, 1, slots, capacity, kv*d)
			b.Output(b.Graph.CachedAttention(q, k, v, kCache, vCache, b.IDs("slot", 1, slot, batch), b.IDs("start", 1, start, batch), heads, kv), kCache, vCache)
		},
		Reference: func(x Values) [][]float64 {
			kCache, vCache := slices.Clone(x.F("k cache")), slices.Clone(x.F("v cache"))
			y := make([]float64, batch*t*heads*d)
			for b := range batch {
				if slot[b] < 0 {
					continue
				}
				cache := int(slot[b]) * capacity * kv * d
				from, at := b*t*kv*d, cache+int(start[b])*kv*d
				copy(kCache[at:at+t*kv*d], x.F("k")[from:])
				copy(vCache[at:at+t*kv*d], x.F("v")[from:])
				for i := range t * heads {
					q, g := (b*t*heads+i)*d, cache+i%heads/(heads/kv)*d
					attendRow(y[q:q+d], x.F("q")[q:], kCache[g:], vCache[g:], int(start[b])+i/heads+1, kv*d)
				}
			}
			return [][]float64{y, kCache, vCache}
		}}
}
