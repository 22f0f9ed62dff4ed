package nntest

import "github.com/calm-go/calm/nn"

// sharingCases are graphs in which several operations read one tensor. They test how an engine plans memory, and which
// contributions to a gradient overwrite and which add.
func sharingCases() []Case {
	return []Case{residuals(), views(), tied(), windows(), overlappingWindows(), squares(), selfAttention(), partlyFrozen(),
		unreached(), severalLosses(), detachedBranches(), repeatedSummand(), adaptiveBlocks()}
}

func graphCase(shape string, build func(b *Builder), reference func(v Values) [][]float64) Case {
	return Case{Op: "graph", Shape: shape, Build: build, Reference: reference, Tolerance: 1e-5, GradTolerance: 5e-5}
}

// residuals: gradients that pass through summands unchanged, with other readers before, between and after them.
func residuals() Case {
	const n, d = 9, 6 // y3 is added under another shape
	return graphCase("residual chains", func(b *Builder) {
		g := b.Graph
		w := func(name string) *nn.Tensor { return b.Param(name, -.6, .6, d, d) }
		x := g.Linear(b.Param("p", -1, 1, n, d), w("w0"), nil, nn.LinearOptions{})
		y1 := g.Linear(g.RMSNorm(x, b.Param("norm", .5, 1.5, d), .01), w("w1"), b.Param("b1", -1, 1, d), nn.LinearOptions{Add: x})
		y2 := g.Linear(y1, w("w2"), nil, nn.LinearOptions{Add: y1})
		y3 := g.Linear(x, w("w3"), nil, nn.LinearOptions{Add: y2, Act: nn.SiLUActivation})
		y4 := g.Linear(y2, w("w4"), nil, nn.LinearOptions{Add: g.Reshape(y3, 3, 3, d)})
		b.Differentiate(y4)
		b.Differentiate(y1)
		b.Differentiate(y3)
	}, func(v Values) [][]float64 {
		lin := func(x []float64, w string) []float64 { return times(x, d, v.F(w), d, 0, 0, d) }
		x := lin(v.F("p"), "w0")
		y1 := plus(plus(lin(rmsNorm(x, v.F("norm"), float64(float32(.01))), "w1"), v.F("b1")), x)
		y2 := plus(lin(y1, "w2"), y1)
		y3 := apply(silu, plus(lin(x, "w3"), y2))
		return [][]float64{plus(lin(y2, "w4"), y3), y1, y3}
	})
}

// views: one tensor read under four shapes.
func views() Case {
	return graphCase("views of several shapes", func(b *Builder) {
		g := b.Graph
		x := g.Linear(b.Param("p", -1, 1, 6, 5), b.Param("w0", -1, 1, 8, 5), nil, nn.LinearOptions{})
		b.Differentiate(g.Linear(g.Reshape(x, 3, 16), b.Param("w1", -1, 1, 2, 16), nil, nn.LinearOptions{}))
		b.Differentiate(g.Linear(g.Reshape(x, 12, 4), b.Param("w2", -1, 1, 7, 4), nil, nn.LinearOptions{}))
		b.Differentiate(g.RMSNorm(x, b.Param("norm", .5, 1.5, 8), .01))
		b.Differentiate(g.SwiGLU(g.Reshape(x, 48), g.Reshape(g.Reshape(x, 2, 24), 48)))
	}, func(v Values) [][]float64 {
		x := times(v.F("p"), 5, v.F("w0"), 5, 0, 0, 8)
		return [][]float64{times(x, 16, v.F("w1"), 16, 0, 0, 2), times(x, 4, v.F("w2"), 4, 0, 0, 7),
			rmsNorm(x, v.F("norm"), float64(float32(.01))), mul(apply(silu, x), x)}
	})
}

// tied: a table that is looked up twice, once with a padding row, and is the weight of the loss.
func tied() Case {
	const v, d, n, pad = 7, 5, 6, 2
	return graphCase("tied table", func(b *Builder) {
		g, table := b.Graph, b.Param("table", -1, 1, v, d)
		row := b.Input("row", 0, 0, d)
		copy(b.Inputs.Floats[row], table.Param().Data[pad*d:])
		x := g.Embedding(table, b.IDs("ids", v, []int32{2, 3, 3}, n), pad)
		y := g.Linear(x, b.Param("w", -1, 1, d, d), nil, nn.LinearOptions{Add: g.Embedding(table, b.IDs("more", v, nil, n), -1)})
		ce := g.CrossEntropy(y, table, b.IDs("labels", v, []int32{-100, 2}, n))
		b.Loss(ce.Loss, 2)
		b.Output(ce.Hits, ce.Brier)
	}, func(x Values) [][]float64 {
		e := lookup(x.F("table"), d, x.I("ids"))
		for i, id := range x.I("ids") {
			if id == pad {
				copy(e[i*d:], x.F("row"))
			}
		}
		y := plus(times(e, d, x.F("w"), d, 0, 0, d), lookup(x.F("table"), d, x.I("more")))
		loss, hits, brier := crossEntropy(y, x.F("table"), d, x.I("labels"))
		return [][]float64{{loss}, {hits}, {brier}}
	})
}

// windows: the halves of an output, and a product with a concatenation as the sum of two (docs/spec.md, section 3.1).
func windows() Case {
	return graphCase("windows side by side", func(b *Builder) {
		g := b.Graph
		x, y := b.Param("x", -1, 1, 6, 4), b.Param("y", -1, 1, 2, 3)
		w, bias := b.Param("w", -1, 1, 10, 7), b.Param("b", -1, 1, 10)
		low := g.Linear(y, w, bias, nn.LinearOptions{Col: 4, Rows: 5})
		b.Differentiate(g.Linear(x, w, nil, nn.LinearOptions{Cols: 4, Rows: 5, Add: low, Act: nn.SiLUActivation}))
		high := g.Linear(y, w, bias, nn.LinearOptions{Col: 4, Row: 5})
		b.Differentiate(g.Linear(x, w, nil, nn.LinearOptions{Cols: 4, Row: 5, Add: high}))
	}, func(v Values) [][]float64 {
		half := func(row int) []float64 {
			low := plus(times(v.F("y"), 3, v.F("w"), 7, row, 4, 5), v.F("b")[row:row+5])
			return plus(times(v.F("x"), 4, v.F("w"), 7, row, 0, 5), low)
		}
		return [][]float64{apply(silu, half(0)), half(5)}
	})
}

// overlappingWindows: windows that overlap, repeat or leave gaps, and an operation that reads the whole matrix.
func overlappingWindows() Case {
	return graphCase("windows that overlap", func(b *Builder) {
		g := b.Graph
		x, w, u := b.Param("x", -1, 1, 5, 3), b.Param("w", -1, 1, 8, 6), b.Param("u", -1, 1, 9, 3)
		bias := b.Param("b", -1, 1, 8)
		b.Differentiate(g.Linear(x, w, bias, nn.LinearOptions{Row: 1, Rows: 4, Cols: 3}))
		b.Differentiate(g.Linear(x, w, bias, nn.LinearOptions{Row: 3, Rows: 4, Col: 2, Cols: 3}))
		b.Differentiate(g.Linear(x, u, nil, nn.LinearOptions{Row: 2, Rows: 4})) // the same twice, and a gap
		b.Differentiate(g.Linear(x, u, nil, nn.LinearOptions{Row: 2, Rows: 4, Act: nn.SiLUActivation}))
		b.Differentiate(g.RMSNorm(g.Reshape(w, 16, 3), b.Param("norm", .5, 1.5, 3), .01))
	}, func(v Values) [][]float64 {
		twice := times(v.F("x"), 3, v.F("u"), 3, 2, 0, 4)
		return [][]float64{
			plus(times(v.F("x"), 3, v.F("w"), 6, 1, 0, 4), v.F("b")[1:5]),
			plus(times(v.F("x"), 3, v.F("w"), 6, 3, 2, 4), v.F("b")[3:7]),
			twice, apply(silu, twice), rmsNorm(v.F("w"), v.F("norm"), float64(float32(.01)))}
	})
}

// squares: one tensor as both operands of an operation.
func squares() Case {
	return graphCase("one tensor as both operands", func(b *Builder) {
		g := b.Graph
		x := g.Linear(b.Param("p", -1, 1, 5, 4), b.Param("w", -1, 1, 4, 4), nil, nn.LinearOptions{})
		b.Differentiate(g.SwiGLU(x, x))
		b.Differentiate(g.Linear(x, b.Param("u", -1, 1, 4, 4), nil, nn.LinearOptions{Add: x, Act: nn.SiLUActivation}))
		b.Differentiate(g.Reparameterize(x, x, b.Random("eps", -1, 1, 5, 4)))
		b.Loss(g.ClampedKL(x, x, 0), .5)
	}, func(v Values) [][]float64 {
		x := times(v.F("p"), 4, v.F("w"), 4, 0, 0, 4)
		return [][]float64{mul(apply(silu, x), x), apply(silu, plus(times(x, 4, v.F("u"), 4, 0, 0, 4), x)),
			reparameterize(x, x, v.F("eps")), {clampedKL(x, x, 4, 0)}}
	})
}

// selfAttention: queries, keys and values are one tensor, and keys and values under grouped heads.
func selfAttention() Case {
	const t = 67
	return graphCase("attention of a tensor to itself", func(b *Builder) {
		g := b.Graph
		x := g.Reshape(g.Linear(b.Param("p", -1, 1, t, 3), b.Param("w", -1, 1, 6, 3), nil, nn.LinearOptions{}), 1, t, 6)
		b.Differentiate(g.Attention(x, x, x, 2, 2))
		kv := b.Param("kv", -1, 1, 1, t, 3)
		b.Differentiate(g.Attention(g.Rotary(x, nil, 1, 100), kv, kv, 2, 1))
	}, func(v Values) [][]float64 {
		x := times(v.F("p"), 3, v.F("w"), 3, 0, 0, 6)
		return [][]float64{attention(x, x, x, 1, t, 2, 2, 3),
			attention(rotary(x, []int32{0}, t, 1, 6, 100), v.F("kv"), v.F("kv"), 1, t, 2, 1, 3)}
	})
}

// partlyFrozen: operations some of whose inputs are not trained.
func partlyFrozen() Case {
	const t = 5
	return graphCase("partly frozen", func(b *Builder) {
		g := b.Graph
		q, k, v := b.Param("q", -1, 1, 1, t, 4), b.Frozen("k", -1, 1, 1, t, 4), b.Frozen("v", -1, 1, 1, t, 4)
		y := g.Attention(q, k, v, 2, 2)
		y = g.Attention(k, y, v, 2, 2)
		y = g.Attention(k, v, y, 2, 2)
		y = g.SwiGLU(y, k)
		y = g.SwiGLU(v, y)
		y = g.RMSNorm(y, b.Frozen("norm", .5, 1.5, 4), .01)
		y = g.LayerNorm(y, b.Frozen("scale", .5, 1.5, 4), b.Param("shift", -1, 1, 4), .01)
		y = g.Linear(y, b.Frozen("w", -1, 1, 4, 4), b.Frozen("b", -1, 1, 4), nn.LinearOptions{Add: k})
		y = g.Linear(k, b.Frozen("u", -1, 1, 4, 4), nil, nn.LinearOptions{Add: y})
		b.Differentiate(g.Reparameterize(k, y, b.Random("eps", -1, 1, 1, t, 4)))
		b.Differentiate(g.RMSNorm(k, b.Param("weight", .5, 1.5, 4), .01))
	}, func(v Values) [][]float64 {
		k, val, eps := v.F("k"), v.F("v"), float64(float32(.01))
		y := attention(v.F("q"), k, val, 1, t, 2, 2, 2)
		y = attention(k, y, val, 1, t, 2, 2, 2)
		y = attention(k, val, y, 1, t, 2, 2, 2)
		y = mul(apply(silu, y), k)
		y = mul(apply(silu, val), y)
		y = layerNorm(rmsNorm(y, v.F("norm"), eps), v.F("scale"), v.F("shift"), 4, eps)
		y = plus(plus(times(y, 4, v.F("w"), 4, 0, 0, 4), v.F("b")), k)
		y = plus(times(k, 4, v.F("u"), 4, 0, 0, 4), y)
		return [][]float64{reparameterize(k, y, v.F("eps")), rmsNorm(k, v.F("weight"), eps)}
	})
}

// unreached: a branch without loss, and one whose loss has weight zero.
func unreached() Case {
	return graphCase("parameters without loss", func(b *Builder) {
		g := b.Graph
		x := g.Linear(b.Param("p", -1, 1, 4, 3), b.Param("w", -1, 1, 3, 3), nil, nn.LinearOptions{})
		b.Output(g.Linear(x, b.Param("side", -1, 1, 2, 3), nil, nn.LinearOptions{}))
		z := g.RMSNorm(g.Linear(x, b.Param("u", -1, 1, 3, 3), nil, nn.LinearOptions{}), b.Param("norm", .5, 1.5, 3), .01)
		b.Loss(g.CrossEntropy(z, b.Param("head", -1, 1, 5, 3), b.IDs("labels", 5, nil, 4)).Loss, 0)
		b.Loss(g.ClampedKL(z, z, 0), 0)
		b.Differentiate(g.SwiGLU(x, x))
	}, func(v Values) [][]float64 {
		x := times(v.F("p"), 3, v.F("w"), 3, 0, 0, 3)
		z := rmsNorm(times(x, 3, v.F("u"), 3, 0, 0, 3), v.F("norm"), float64(float32(.01)))
		loss, _, _ := crossEntropy(z, v.F("head"), 3, v.I("labels"))
		return [][]float64{times(x, 3, v.F("side"), 3, 0, 0, 2), {loss}, {clampedKL(z, z, 3, 0)}, mul(apply(silu, x), x)}
	})
}

// severalLosses: one tensor gets gradients of losses that compute them in the forward run, and of others.
func severalLosses() Case {
	return graphCase("several losses on one tensor", func(b *Builder) {
		g := b.Graph
		x := g.Linear(b.Param("p", -1, 1, 6, 3), b.Param("w", -1, 1, 4, 3), nil, nn.LinearOptions{})
		y := g.Linear(x, b.Param("u", -1, 1, 4, 4), nil, nn.LinearOptions{Add: x})
		head := b.Param("head", -1, 1, 5, 4)
		b.Loss(g.CrossEntropy(x, head, b.IDs("labels", 5, nil, 6)).Loss, 2)
		b.Loss(g.CrossEntropy(y, head, b.IDs("others", 5, []int32{-100}, 6)).Loss, .5)
		pred := g.Reshape(x, 3, 2, 4)
		e := g.EnergyScore(pred, b.Input("mean", -1, 1, 2, 4), b.Input("log_std", -1, 0, 2, 4), b.Random("eps", -1, 1, 3, 2, 4), nil, 1)
		b.Loss(e.Loss, 1.5)
		b.Loss(g.MeanSquaredError(pred, b.Input("anchor", -1, 1, 2, 4), nil), .4)
		b.Loss(g.ClampedKL(x, y, .1), .3)
		b.Loss(e.Loss, .5) // twice: the weights add up
	}, func(v Values) [][]float64 {
		x := times(v.F("p"), 3, v.F("w"), 3, 0, 0, 4)
		y := plus(times(x, 4, v.F("u"), 4, 0, 0, 4), x)
		one, _, _ := crossEntropy(x, v.F("head"), 4, v.I("labels"))
		two, _, _ := crossEntropy(y, v.F("head"), 4, v.I("others"))
		e, _, _ := energyScore(x, v.F("mean"), v.F("log_std"), v.F("eps"), nil, 4, 1)
		anchor := meanSquaredError(x, v.F("anchor"), nil, 4)
		return [][]float64{{one}, {two}, e, {anchor}, {clampedKL(x, y, 4, .1)}, e}
	})
}

// detachedBranches: computed values as inputs that pass no gradient.
func detachedBranches() Case {
	return graphCase("places without gradient", func(b *Builder) {
		g := b.Graph
		q := g.Linear(b.Detached("p", -1, 1, 4, 3), b.Detached("w", -1, 1, 5, 3), nil, nn.LinearOptions{Act: nn.SiLUActivation})
		x := b.Param("x", -1, 1, 4, 5)
		b.Differentiate(g.Mul(x, q))
		b.Differentiate(g.Reparameterize(x, x, q))
		targets := b.Input("more", -1, 1, 2, 4, 5)
		e := g.EnergyScore(g.Linear(targets, b.Param("u", -1, 1, 5, 5), nil, nn.LinearOptions{}), q, q, g.Reshape(q, 1, 4, 5), nil, 1)
		b.Loss(e.Loss, 1)
	}, func(v Values) [][]float64 {
		q, x := apply(silu, times(v.F("p"), 3, v.F("w"), 3, 0, 0, 5)), v.F("x")
		e, _, _ := energyScore(times(v.F("more"), 5, v.F("u"), 5, 0, 0, 5), q, q, q, nil, 5, 1)
		return [][]float64{mul(x, q), reparameterize(x, x, q), e}
	})
}

// repeatedSummand: a summand with fewer rows that other operations read too.
func repeatedSummand() Case {
	return graphCase("a repeated summand with other readers", func(b *Builder) {
		g := b.Graph
		add := g.Linear(b.Param("p", -1, 1, 2, 3), b.Param("w", -1, 1, 4, 3), nil, nn.LinearOptions{})
		y := g.Linear(b.Param("x", -1, 1, 8, 5), b.Param("u", -1, 1, 4, 5), nil, nn.LinearOptions{Add: add})
		z := g.Linear(y, b.Param("v", -1, 1, 4, 4), nil, nn.LinearOptions{Add: add, Act: nn.SiLUActivation})
		b.Differentiate(z)
		b.Differentiate(add)
		b.Differentiate(g.SwiGLU(y, z))
	}, func(v Values) [][]float64 {
		add := times(v.F("p"), 3, v.F("w"), 3, 0, 0, 4)
		y := plus(times(v.F("x"), 5, v.F("u"), 5, 0, 0, 4), add)
		z := apply(silu, plus(times(y, 4, v.F("v"), 4, 0, 0, 4), add))
		return [][]float64{z, add, mul(apply(silu, y), z)}
	})
}
