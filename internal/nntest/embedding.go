package nntest

import "slices"

// embeddingCases are cases of [nn.Embedding].
func embeddingCases() []Case {
	embed := func(shape string, v, d, n, pad int, first ...int32) Case {
		return Case{Op: "Embedding", Shape: shape,
			Build: func(b *Builder) {
				b.Differentiate(b.Graph.Embedding(b.Param("table", -1, 1, v, d), b.IDs("ids", v, first, n), pad))
			},
			Reference: func(x Values) [][]float64 { return [][]float64{lookup(x.F("table"), d, x.I("ids"))} },
		}
	}
	return []Case{
		embed("1x1", 1, 1, 1, -1), embed("7x5", 7, 5, 23, -1, 3, 3, 3), embed("300x130", 300, 130, 400, -1),
		embed("pad unused", 9, 3, 4, 8, 0, 1, 2, 3), padEmbedding(),
		embed("512 of 2048x320", 2048, 320, 512, -1).benchmark(),
	}
}

// padEmbedding takes the padding row from an input in its definition: that row gets no gradient, so the differences
// must see a constant there.
func padEmbedding() Case {
	const v, d, pad = 5, 3, 2
	ids := []int32{2, 4, 2, 0, 0, 1}
	return Case{Op: "Embedding", Shape: "pad row",
		Build: func(b *Builder) {
			table := b.Param("table", -1, 1, v, d)
			row := b.Input("row", 0, 0, d)
			copy(b.Inputs.Floats[row], table.Param().Data[pad*d:(pad+1)*d])
			b.Differentiate(b.Graph.Embedding(table, b.IDs("ids", v, ids, len(ids)), pad))
		},
		Reference: func(x Values) [][]float64 {
			table := slices.Clone(x.F("table"))
			copy(table[pad*d:], x.F("row"))
			return [][]float64{lookup(table, d, x.I("ids"))}
		}}
}

func lookup(table []float64, d int, ids []int32) []float64 {
	var y []float64
	for _, id := range ids {
		y = append(y, table[int(id)*d:int(id+1)*d]...)
	}
	return y
}
