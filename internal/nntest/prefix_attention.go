package nntest

import (
	"fmt"
	"slices"
)

// prefixAttentionCases are cases of [nn.PrefixAttention].
func prefixAttentionCases() []Case {
	return []Case{
		prefixAttention(1, 1, 1, 1, 2, 1, 1, []int32{0}, []int32{0}),
		prefixAttention(5, 3, 4, 2, 3, 2, 9, []int32{1, 1, -1, 0, 1}, []int32{9, 2, 7, 0, 1}),
		prefixAttention(3, 70, 2, 1, 6, 2, 67, []int32{0, 0, 1}, []int32{66, 67, 3}),
		prefixAttention(131, 1, 2, 2, 8, 3, 150, spread(131, 3), spread(131, 151)),
		prefixAttention(40, 2, 2, 1, 16, 1, 200, make([]int32, 40), spread(40, 201)),
	}
}

// prefixAttention has rows of t positions each that continue contexts of n positions.
func prefixAttention(rows, t, heads, kv, d, contexts, n int, context, length []int32) Case {
	return Case{Op: "PrefixAttention", Shape: fmt.Sprintf("%dx%d heads=%d/%d d=%d after %dx%d", rows, t, heads, kv, d, contexts, n),
		Tolerance: 1e-5,
		Build: func(b *Builder) {
			q, k, v := b.Param("q", -2, 2, rows, t, heads*d), b.Param("k", -2, 2, rows, t, kv*d), b.Param("v", -1, 1, rows, t, kv*d)
			b.Output(b.Graph.PrefixAttention(q, k, v, b.Input("k prefix", -2, 2, contexts, n, kv*d), b.Input("v prefix", -1, 1, contexts, n, kv*d),
				b.IDs("context", 1, context, rows), b.IDs("length", 1, length, rows), heads, kv))
		},
		Reference: func(x Values) [][]float64 {
			y := make([]float64, rows*t*heads*d)
			for r, c := range context {
				if c < 0 {
					continue
				}
				all := func(prefix, own string) []float64 {
					shared := x.F(prefix)[int(c)*n*kv*d:][:int(length[r])*kv*d]
					return slices.Concat(shared, x.F(own)[r*t*kv*d:(r+1)*t*kv*d])
				}
				k, v := all("k prefix", "k"), all("v prefix", "v")
				for i := range t * heads {
					at, g := (r*t*heads+i)*d, i%heads/(heads/kv)*d
					attendRow(y[at:at+d], x.F("q")[at:], k[g:], v[g:], int(length[r])+i/heads+1, kv*d)
				}
			}
			return [][]float64{y}
		}}
}

// spread is n numbers below limit, in ascending order.
func spread(n, limit int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32(i * limit / n)
	}
	return x
}
