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

func attentionCases() []Case {
	rope := func(batch, t, heads, d int, start ...int32) Case {
		return Case{Op: "Rotary", Shape: fmt.Sprintf("%dx%dx%dx%d start=%v", batch, t, heads, d, start), Tolerance: 1e-5,
			Build: func(b *Builder) {
				x := b.Param("x", -2, 2, batch, t, heads*d)
				if start == nil {
					b.Differentiate(b.Graph.Rotary(x, nil, heads, 1e4))
				} else {
					b.Output(b.Graph.Rotary(x, b.IDs("start", 1, start, batch), heads, 1e4))
				}
			},
			Reference: func(v Values) [][]float64 {
				from := start
				if from == nil {
					from = make([]int32, batch)
				}
				return [][]float64{rotary(v.F("x"), from, t, heads, d, 1e4)}
			}}
	}
	attend := func(batch, t, heads, kv, d int, size float64) Case {
		return Case{Op: "Attention", Shape: fmt.Sprintf("%dx%d heads=%d/%d d=%d size=%g", batch, t, heads, kv, d, size),
			Tolerance: 1e-5, GradTolerance: 5e-5,
			Build: func(b *Builder) {
				q, k := b.Param("q", -size, size, batch, t, heads*d), b.Param("k", -size, size, batch, t, kv*d)
				b.Differentiate(b.Graph.Attention(q, k, b.Param("v", -1, 1, batch, t, kv*d), heads, kv))
			},
			Reference: func(v Values) [][]float64 {
				return [][]float64{attention(v.F("q"), v.F("k"), v.F("v"), batch, t, heads, kv, d)}
			}}
	}
	return []Case{
		rope(1, 1, 1, 2), rope(2, 9, 3, 6), rope(3, 67, 2, 16), rope(2, 5, 2, 8, 7, 0), rope(2, 1, 3, 34, 1000, 31),
		attend(1, 1, 1, 1, 2, 1), attend(2, 7, 4, 2, 3, 2), attend(1, 64, 2, 2, 8, 2), attend(1, 65, 4, 1, 5, 2),
		attend(1, 131, 2, 1, 10, 2), attend(1, 90, 2, 1, 16, 6),
		prefixAttention(1, 1, 1, 1, 2, 1, 1, []int32{0}, []int32{0}),
		prefixAttention(5, 3, 4, 2, 3, 2, 9, []int32{1, 1, -1, 0, 1}, []int32{9, 2, 7, 0, 1}),
		prefixAttention(3, 70, 2, 1, 6, 2, 67, []int32{0, 0, 1}, []int32{66, 67, 3}),
		prefixAttention(131, 1, 2, 2, 8, 3, 150, spread(131, 3), spread(131, 151)),
		prefixAttention(40, 2, 2, 1, 16, 1, 200, make([]int32, 40), spread(40, 201)),
	}
}

// spread is n numbers below limit, in ascending order.
func spread(n, limit int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32(i * limit / n)
	}
	return x
}

// prefixAttention has rows of t positions behind prefixes of contexts of n positions.
func prefixAttention(rows, t, heads, kv, d, contexts, n int, context, length []int32) Case {
	return Case{Op: "PrefixAttention", Shape: fmt.Sprintf("%dx%d heads=%d/%d d=%d behind %dx%d", rows, t, heads, kv, d, contexts, n),
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
				behind := func(prefix, own string) []float64 {
					shared := x.F(prefix)[int(c)*n*kv*d:][:int(length[r])*kv*d]
					return slices.Concat(shared, x.F(own)[r*t*kv*d:(r+1)*t*kv*d])
				}
				k, v := behind("k prefix", "k"), behind("v prefix", "v")
				for i := range t * heads {
					at, g := (r*t*heads+i)*d, i%heads/(heads/kv)*d
					attendRow(y[at:at+d], x.F("q")[at:], k[g:], v[g:], int(length[r])+i/heads+1, kv*d)
				}
			}
			return [][]float64{y}
		}}
}

// categorical has n rows over a vocabulary of v, and draws of each.
func categorical(n, d, v, draws int, labels ...int32) Case {
	return Case{Op: "Categorical", Shape: fmt.Sprintf("%dx%dx%d draws=%d", n, d, v, draws), Tolerance: 1e-5,
		Build: func(b *Builder) {
			c := b.Graph.Categorical(b.Param("h", -1, 1, n, d), b.Param("w", -2, 2, v, d), b.IDs("labels", v, labels, n),
				b.Random("u", 0, 1, draws, n))
			b.Output(c.LogP, c.Collision, c.Best, c.Draws)
		},
		Reference: func(x Values) [][]float64 {
			out := [][]float64{make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, draws*n)}
			for i, label := range x.I("labels") {
				p := softmax(times(x.F("h")[i*d:(i+1)*d], d, x.F("w"), d, 0, 0, v))
				if label != -100 {
					out[0][i] = math.Log(p[label])
				}
				for _, q := range p {
					out[1][i] += q * q
				}
				out[2][i] = float64(argMax(p))
				for s := range draws {
					at, sum := 0, p[0]
					for u := x.F("u")[s*n+i]; sum <= u && at+1 < v; sum += p[at] {
						at++
					}
					out[3][s*n+i] = float64(at)
				}
			}
			return out
		}}
}

func lossCases() []Case {
	kl := func(shape string, n, z int, clamp float64) Case {
		return Case{Op: "ClampedKL", Shape: shape,
			Build: func(b *Builder) {
				b.Loss(b.Graph.ClampedKL(b.Param("mean", -1.5, 1.5, n, z), b.Param("log_std", -2, 1, n, z), float32(clamp)), .7)
			},
			Reference: func(v Values) [][]float64 {
				return [][]float64{{clampedKL(v.F("mean"), v.F("log_std"), z, clamp)}}
			}}
	}
	argmax := func(shape string, n, d, v int) Case {
		return Case{Op: "ArgMax", Shape: shape,
			Build: func(b *Builder) {
				h, w := b.Param("h", -1, 1, n, d), b.Param("w", -1, 1, v, d)
				// Multiples of 1/4 are exact in every order of summation, and make many ties: the first counts.
				quantise(h.Param().Data)
				quantise(w.Param().Data)
				b.Output(b.Graph.ArgMax(h, w))
			},
			Reference: func(x Values) [][]float64 {
				var ids []float64
				for r := range n {
					ids = append(ids, float64(argMax(times(x.F("h")[r*d:(r+1)*d], d, x.F("w"), d, 0, 0, v))))
				}
				return [][]float64{ids}
			}}
	}
	return []Case{
		kl("1x1", 1, 1, 0), kl("7x5 clamp", 7, 5, .5), kl("130x67 clamp", 130, 67, .25), kl("all clamped", 3, 4, 50),
		entropy("1x1x1", 1, 1, 1, 1), entropy("7x5x11", 7, 5, 11, 1), entropy("ignored", 9, 4, 6, 1, -100, 2, -100, -100, 5),
		entropy("none counts", 3, 4, 6, 1, -100, -100, -100), entropy("large logits", 5, 3, 9, 30),
		entropy("70x33x257", 70, 33, 257, 1), entropy("chunks of rows 514x2x520", 514, 2, 520, 1, -100, 519, 0),
		argmax("1x1x1", 1, 1, 1), argmax("9x3x40", 9, 3, 40), argmax("ties 33x1x70", 33, 1, 70),
		argmax("chunks of the vocabulary 4200x2x1100", 4200, 2, 1100),
		categorical(1, 1, 1, 1), categorical(9, 3, 40, 2, 0, -100, 39), categorical(600, 5, 530, 3),
	}
}

func quantise(x []float32) {
	for i := range x {
		x[i] = float32(math.Round(4*float64(x[i])) / 4)
	}
}

func entropy(shape string, n, d, v int, size float64, labels ...int32) Case {
	return Case{Op: "CrossEntropy", Shape: shape, GradTolerance: 3e-5,
		Build: func(b *Builder) {
			ce := b.Graph.CrossEntropy(b.Param("h", -size, size, n, d), b.Param("w", -1, 1, v, d), b.IDs("labels", v, labels, n))
			b.Loss(ce.Loss, 3)
			b.Output(ce.Hits, ce.Brier)
		},
		Reference: func(x Values) [][]float64 {
			loss, hits, brier := crossEntropy(x.F("h"), x.F("w"), d, x.I("labels"))
			return [][]float64{{loss}, {hits}, {brier}}
		}}
}

func energyCases() []Case {
	energy := func(shape string, n, m, p, z int, beta float64, weights ...float32) Case {
		return Case{Op: "EnergyScore", Shape: shape, Tolerance: 5e-6, GradTolerance: 3e-5,
			Build: func(b *Builder) {
				pred := b.Param("pred", -1, 1, n, p, z)
				mean, logStd := b.Detached("mean", -1, 1, p, z), b.Frozen("log_std", -2, 0, p, z)
				var w *nn.Tensor
				if weights != nil {
					w = b.Given(b.Input("weight", 0, 0, p), weights...)
				}
				o := b.Graph.EnergyScore(pred, mean, logStd, b.Random("eps", -2, 2, m, p, z), w, float32(beta))
				b.Loss(o.Loss, 2)
				b.Output(o.DistY, o.DistX)
			},
			Reference: func(x Values) [][]float64 {
				var w []float64
				if weights != nil {
					w = x.F("weight")
				}
				loss, y, xx := energyScore(x.F("pred"), x.F("mean"), x.F("log_std"), x.F("eps"), w, z, beta)
				return [][]float64{loss, y, xx}
			}}
	}
	same := func(beta float64) Case {
		c := energy(fmt.Sprintf("equal samples beta=%g", beta), 3, 4, 2, 5, beta)
		inner := c.Build
		c.Build = func(b *Builder) {
			inner(b)
			pred := b.Params.Get("pred").Data
			copy(pred[10:20], pred[:10])
			copy(pred[20:], pred[:10])
		}
		return c
	}
	return []Case{
		energy("2 of 1, 1x1", 2, 1, 1, 1, 1), energy("3 of 5, 7x4", 3, 5, 7, 4, 1), energy("beta=1.5", 3, 5, 4, 7, 1.5),
		energy("beta=0.75", 3, 5, 4, 7, .75), energy("weights", 3, 4, 5, 3, 1, 1, 0, .5, 0, 2),
		energy("weights beta=1.5", 2, 3, 3, 3, 1.5, 0, 1, 1), energy("no weight", 3, 4, 2, 3, 1, 0, 0),
		energy("8 of 100, 3x67", 8, 100, 3, 67, 1), energy("2 of 3, 140x5", 2, 3, 140, 5, 1), energy("64 of 3, 2x5", 64, 3, 2, 5, 1),
		energy("beta=0.25", 3, 5, 4, 7, .25), energy("beta=0.5", 3, 5, 4, 7, .5), energy("beta=2", 3, 5, 4, 7, 2),
		same(1), same(1.5), same(.75), same(.5), same(.25),
	}
}

func squaredErrorCases() []Case {
	squares := func(shape string, n, targets, z int, weights ...float32) Case {
		return Case{Op: "MeanSquaredError", Shape: shape,
			Build: func(b *Builder) {
				pred, target := b.Param("pred", -1, 2, n, z), b.Detached("target", -2, 1, targets, z)
				var w *nn.Tensor
				if weights != nil {
					w = b.Given(b.Input("weight", 0, 0, len(weights)), weights...)
				}
				b.Loss(b.Graph.MeanSquaredError(pred, target, w), 3)
			},
			Reference: func(x Values) [][]float64 {
				var w []float64
				if weights != nil {
					w = x.F("weight")
				}
				return [][]float64{{meanSquaredError(x.F("pred"), x.F("target"), w, z)}}
			}}
	}
	return []Case{
		squares("1x1", 1, 1, 1), squares("7x5", 7, 7, 5), squares("targets repeat 12x3x9", 12, 3, 9), squares("300x130", 300, 300, 130),
		squares("weights", 5, 5, 3, 1, 0, .5, 0, 2), squares("weights and targets repeat", 12, 3, 4, 0, 2, 1),
		squares("more weights than targets", 12, 3, 4, 1, 0, 2, .5, 0, 1), squares("none counts", 4, 2, 3, 0, 0),
	}
}
