package nntest

import (
	"fmt"
	"math"
	"slices"

	"github.com/calm-go/calm/nn"
)

// Cases returns the whole suite: every operation at odd shapes, at 1 and beyond a tile, and operations that share
// tensors.
func Cases() []Case {
	return slices.Concat(lookupCases(), linearCases(), elementwiseCases(), normCases(), attentionCases(), lossCases(),
		energyCases(), squaredErrorCases(), headCases(), sharingCases())
}

func lookupCases() []Case {
	embed := func(shape string, v, d, n, pad int, first ...int32) Case {
		return Case{Op: "Embedding", Shape: shape,
			Build: func(b *Builder) {
				b.Differentiate(b.Graph.Embedding(b.Param("table", -1, 1, v, d), b.IDs("ids", v, first, n), pad))
			},
			Reference: func(x Values) [][]float64 { return [][]float64{lookup(x.F("table"), d, x.I("ids"))} },
		}
	}
	mask := func(shape string, n int) Case {
		return Case{Op: "MaskIDs", Shape: shape,
			Build: func(b *Builder) {
				keep := b.Input("keep", 0, 1, n)
				for i, k := range b.Inputs.Floats[keep] {
					b.Inputs.Floats[keep][i] = float32(math.Round(float64(k)))
				}
				b.Output(b.Graph.MaskIDs(b.IDs("ids", 9, nil, n), keep))
			},
			Reference: func(x Values) [][]float64 {
				y := make([]float64, n)
				for i, id := range x.I("ids") {
					if x.F("keep")[i] != 0 {
						y[i] = float64(id)
					}
				}
				return [][]float64{y}
			}}
	}
	return []Case{
		embed("1x1", 1, 1, 1, -1), embed("7x5", 7, 5, 23, -1, 3, 3, 3), embed("300x130", 300, 130, 400, -1),
		embed("pad unused", 9, 3, 4, 8, 0, 1, 2, 3), padEmbedding(), mask("1", 1), mask("67", 67),
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

// linearShape is a product of x [m, k] with a window [n, k] of w [n+row+2, k+col+1] or, without window, all of w.
type linearShape struct {
	m, k, n     int
	window      bool
	bias        bool
	addRows     int // 0 for none
	act         nn.Activation
	row, col    int
	ldw, height int
}

func (s linearShape) of() Case {
	s.ldw, s.height = s.k, s.n
	if s.window {
		s.row, s.col = 3, 2
		s.ldw, s.height = s.k+s.col+1, s.n+s.row+2
	}
	return Case{Op: "Linear", Shape: fmt.Sprintf("%dx%dx%d window=%t bias=%t add=%d act=%d", s.m, s.k, s.n, s.window, s.bias, s.addRows, s.act),
		Build: s.build, Reference: s.reference, Tolerance: 1e-5, GradTolerance: 2e-5}
}

func (s linearShape) build(b *Builder) {
	x, w := b.Param("x", -1, 1, s.m, s.k), b.Param("w", -1, 1, s.height, s.ldw)
	o := nn.LinearOptions{Act: s.act}
	if s.window {
		o.Row, o.Col, o.Rows, o.Cols = s.row, s.col, s.n, s.k
	}
	var bias *nn.Tensor
	if s.bias {
		bias = b.Param("b", -1, 1, s.height)
	}
	if s.addRows > 0 {
		o.Add = b.Param("add", -1, 1, s.addRows, s.n)
	}
	b.Differentiate(b.Graph.Linear(x, w, bias, o))
}

func (s linearShape) reference(v Values) [][]float64 {
	y := times(v.F("x"), s.k, v.F("w"), s.ldw, s.row, s.col, s.n)
	if s.bias {
		y = plus(y, v.F("b")[s.row:s.row+s.n])
	}
	if s.addRows > 0 {
		y = plus(y, v.F("add"))
	}
	if s.act == nn.SiLUActivation {
		y = apply(silu, y)
	}
	return [][]float64{y}
}

func linearCases() []Case {
	const silu = nn.SiLUActivation
	return []Case{
		linearShape{m: 1, k: 1, n: 1}.of(),
		linearShape{m: 1, k: 37, n: 19, bias: true}.of(),
		linearShape{m: 5, k: 7, n: 3, bias: true, act: silu}.of(),
		linearShape{m: 6, k: 5, n: 4, addRows: 6}.of(),
		linearShape{m: 6, k: 5, n: 4, addRows: 2, act: silu}.of(),
		linearShape{m: 6, k: 5, n: 4, addRows: 1, bias: true}.of(),
		linearShape{m: 9, k: 6, n: 5, window: true, bias: true, addRows: 3, act: silu}.of(),
		linearShape{m: 4, k: 3, n: 1, window: true}.of(),
		linearShape{m: 67, k: 130, n: 35, bias: true, addRows: 67, act: silu}.of(),
		linearShape{m: 300, k: 17, n: 70, window: true, bias: true}.of(),
		linearShape{m: 35, k: 300, n: 17, addRows: 7}.of(),
	}
}

func elementwiseCases() []Case {
	var cases []Case
	for _, n := range [][]int{{1}, {5, 7}, {3, 3001}} {
		shape := fmt.Sprint(n)
		cases = append(cases,
			Case{Op: "SwiGLU", Shape: shape,
				Build: func(b *Builder) {
					b.Differentiate(b.Graph.SwiGLU(b.Param("gate", -8, 8, n...), b.Param("up", -2, 2, n...)))
				},
				Reference: func(v Values) [][]float64 { return [][]float64{mul(apply(silu, v.F("gate")), v.F("up"))} }},
			Case{Op: "Mul", Shape: shape,
				Build: func(b *Builder) {
					b.Differentiate(b.Graph.Mul(b.Param("x", -2, 2, n...), b.Detached("factor", -2, 2, n...)))
				},
				Reference: func(v Values) [][]float64 { return [][]float64{mul(v.F("x"), v.F("factor"))} }},
			Case{Op: "Reparameterize", Shape: shape,
				Build: func(b *Builder) {
					b.Differentiate(b.Graph.Reparameterize(b.Param("mean", -2, 2, n...), b.Param("log_std", -3, 1, n...), b.Random("eps", -2, 2, n...)))
				},
				Reference: func(v Values) [][]float64 {
					return [][]float64{reparameterize(v.F("mean"), v.F("log_std"), v.F("eps"))}
				}},
			Case{Op: "WeightedSum", Shape: shape, Tolerance: 1e-4, // a sum near zero of large summands
				Build: func(b *Builder) {
					b.Loss(b.Graph.WeightedSum(b.Param("x", 1, 2, n...), b.Input("w", 0, 1, n...)), .5)
				},
				Reference: func(v Values) [][]float64 {
					sum := 0.
					for i, x := range v.F("x") {
						sum += x * v.F("w")[i]
					}
					return [][]float64{{sum}}
				}},
		)
	}
	return cases
}

func normCases() []Case {
	var cases []Case
	for _, s := range [][2]int{{1, 1}, {1, 19}, {7, 5}, {33, 130}, {300, 65}} {
		n, d := s[0], s[1]
		eps := .01
		shape, floor := fmt.Sprintf("%dx%d", n, d), 0.
		if d == 1 {
			floor = 1e-6 // x minus its mean is 0
		}
		cases = append(cases,
			Case{Op: "RMSNorm", Shape: shape,
				Build: func(b *Builder) {
					b.Differentiate(b.Graph.RMSNorm(b.Param("x", -2, 3, n, d), b.Param("w", -1, 2, d), float32(eps)))
				},
				Reference: func(v Values) [][]float64 {
					return [][]float64{rmsNorm(v.F("x"), v.F("w"), float64(float32(eps)))}
				}},
			Case{Op: "LayerNorm", Shape: shape, GradFloor: floor,
				Build: func(b *Builder) {
					b.Differentiate(b.Graph.LayerNorm(b.Param("x", -2, 3, n, d), b.Param("w", -1, 2, d), b.Param("b", -1, 1, d), float32(eps)))
				},
				Reference: func(v Values) [][]float64 {
					return [][]float64{layerNorm(v.F("x"), v.F("w"), v.F("b"), d, float64(float32(eps)))}
				}},
			Case{Op: "LayerNorm", Shape: shape + " plain", GradFloor: floor,
				Build: func(b *Builder) {
					b.Differentiate(b.Graph.LayerNorm(b.Param("x", -2, 3, n, d), nil, nil, float32(eps)))
				},
				Reference: func(v Values) [][]float64 {
					return [][]float64{layerNorm(v.F("x"), nil, nil, d, float64(float32(eps)))}
				}},
		)
	}
	return cases
}
