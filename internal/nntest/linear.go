package nntest

import (
	"fmt"

	"github.com/calm-go/calm/nn"
)

// linearCases are cases of [nn.Linear].
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
		linearShape{m: 512, k: 320, n: 640, bias: true, act: silu}.of().benchmark(),
	}
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
