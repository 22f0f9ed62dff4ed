package nn

// Activation is the function a Linear applies last.
type Activation uint8

// The activations.
const (
	NoActivation   Activation = iota // the identity
	SiLUActivation                   // SiLU(x) = x / (1 + exp(-x))
)

// Linear multiplies by a weight matrix, or by a window of one, and fuses what usually follows.
//
//	Y = Act(X · W[Row:Row+out, Col:Col+in]^T + B[Row:Row+out] + Add[i mod rows(Add)])
//
// A window avoids copies in two cases. Halves of an output (mean and log_std; gate and up) are products of their own.
// And a product with a concatenation [x; y] is the sum of two products, of which the second is computed once for all
// rows that share y and passed as Add.
type Linear struct {
	X        *Tensor    // [.., in]
	W        *Tensor    // [at least Row+out, at least Col+in]
	B        *Tensor    // [rows of W], or nil
	Add      *Tensor    // [.., out], a summand such as a residual, or nil; where it has fewer rows than X, they repeat
	Y        *Tensor    // [.., out]
	Row, Col int        // first row and column of the window
	Act      Activation // applied last
}

// LinearOptions are the optional parts of a Linear; the zero value multiplies by the whole matrix.
type LinearOptions struct {
	Add      *Tensor    // [.., out]: a summand, whose rows repeat where there are fewer than of X
	Row, Col int        // first row and column of the window
	Rows     int        // rows of the window, 0 for all from Row on
	Cols     int        // columns of the window, 0 for all from Col on
	Act      Activation // applied last
}

// Linear adds a Linear operation and returns its Y [.., out]: x [.., in], w [out, in] or larger with a window of o, b
// [rows of w] or nil.
func (g *Graph) Linear(x, w, b *Tensor, o LinearOptions) *Tensor {
	if o.Rows == 0 {
		o.Rows = w.Dim(0) - o.Row
	}
	if o.Cols == 0 {
		o.Cols = w.Dim(1) - o.Col
	}
	check(len(w.shape) == 2 && o.Rows > 0 && o.Row+o.Rows <= w.Dim(0) && o.Col+o.Cols <= w.Dim(1) && x.Cols() == o.Cols,
		"linear", "x %v, w %v, window rows %d+%d, columns %d+%d", x, w, o.Row, o.Rows, o.Col, o.Cols)
	check(w.base == nil && w.role == Parameter || o.Rows == w.Dim(0) && o.Cols == w.Dim(1), "linear", "a window of %v, which is no parameter", w)
	check(b == nil || b.is(w.Dim(0)) && b.base == nil, "linear", "bias %v, w %v", b, w)
	shape := append([]int{}, x.shape...)
	shape[len(shape)-1] = o.Rows
	y := g.value(shape...)
	if o.Add != nil {
		check(o.Add.Cols() == o.Rows && x.Rows()%o.Add.Rows() == 0, "linear", "add %v, y %v", o.Add, y)
	}
	g.add(&Linear{X: x, W: w, B: b, Add: o.Add, Y: y, Row: o.Row, Col: o.Col, Act: o.Act})
	return y
}

// Describe implements [Op]. A run reads the window of W and its part of B.
func (o *Linear) Describe() Description {
	rows, out, in := o.X.Rows(), o.Y.Cols(), o.X.Cols()
	d := Description{
		In:    present(o.X, o.W, o.B, o.Add),
		Out:   []*Tensor{o.Y},
		Grad:  present(o.X, o.W, o.B, o.Add),
		Flops: Product(2*float64(rows)*float64(out)*float64(in), o.X, o.W),
		Reads: map[*Tensor]int{o.W: in * out},
		Sizes: []int{rows, out, in},
	}
	if o.B != nil {
		d.Reads[o.B] = out
	}
	return d
}
