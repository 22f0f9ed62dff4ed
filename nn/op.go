package nn

// Op is one operation of a graph. Its concrete type says which; engines switch on it. Fields are read-only once the
// operation is in a graph; an absent optional tensor is nil.
type Op interface {
	In() []*Tensor  // tensors read, optional ones only where present
	Out() []*Tensor // tensors written
	// Flops counts the multiplications and additions of the matrix products of one forward run; elementwise work is
	// not counted. The backward run of a product costs twice as much where both its operands need gradients.
	Flops() float64
}

// Activation is what a Linear applies last.
type Activation uint8

const (
	NoActivation Activation = iota
	SiLUActivation
)

func present(ts ...*Tensor) []*Tensor {
	out := ts[:0]
	for _, t := range ts {
		if t != nil {
			out = append(out, t)
		}
	}
	return out
}

// Embedding looks up rows of a table.
//
//	Y[i] = Table[IDs[i]]      IDs [..], Table [V, D], Y [.., D]
//
// The row PadID gets no gradient (PyTorch's padding_idx); -1 for none. Ids outside [0, V) are an error of the run.
type Embedding struct {
	IDs, Table, Y *Tensor
	PadID         int
}

// Embedding adds an Embedding operation.
func (g *Graph) Embedding(table, ids *Tensor, padID int) *Tensor {
	check(ids.dtype == Int32 && len(table.shape) == 2, "embedding", "ids %v, table %v", ids, table)
	y := g.value(append(append([]int{}, ids.shape...), table.Cols())...)
	g.add(&Embedding{IDs: ids, Table: table, Y: y, PadID: padID})
	return y
}

// In implements [Op].
func (o *Embedding) In() []*Tensor { return []*Tensor{o.IDs, o.Table} }

// Out implements [Op].
func (o *Embedding) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *Embedding) Flops() float64 { return 0 }

// MaskIDs replaces dropped ids by 0, the token dropout of the autoencoder (SPEC section 2).
//
//	Y[i] = IDs[i] where Keep[i] != 0, else 0      IDs [..], Keep [..] of as many elements, Y like IDs
type MaskIDs struct{ IDs, Keep, Y *Tensor }

// MaskIDs adds a MaskIDs operation.
func (g *Graph) MaskIDs(ids, keep *Tensor) *Tensor {
	check(ids.dtype == Int32 && keep.Size() == ids.Size(), "mask ids", "ids %v, keep %v", ids, keep)
	y := g.newTensor(Value, Int32, "", ids.shape)
	g.add(&MaskIDs{ids, keep, y})
	return y
}

// In implements [Op].
func (o *MaskIDs) In() []*Tensor { return []*Tensor{o.IDs, o.Keep} }

// Out implements [Op].
func (o *MaskIDs) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *MaskIDs) Flops() float64 { return 0 }

// Linear multiplies by a weight matrix, or by a window of one, and fuses what usually follows.
//
//	Y = act(X · W[Row:Row+out, Col:Col+in]^T + B[Row:Row+out] + Add[i mod rows(Add)])
//	X [.., in], W [>=out, >=in], B [rows of W] or nil, Add [.., out] or nil, Y [.., out]
//
// Windows serve two ends without copies: halves of an output (mean and log_std; gate and up) are products of their
// own, and a product with a concatenation [x; y] is the sum of two products, the second computed once for all rows
// that share y. Add is the other summand, or a residual; with fewer rows than X it repeats.
type Linear struct {
	X, W, B, Add, Y *Tensor
	Row, Col        int
	Act             Activation
}

// LinearOptions are the optional parts of a Linear; the zero value multiplies by the whole matrix.
type LinearOptions struct {
	Add      *Tensor
	Row, Col int // first row and column of the window
	Rows     int // rows of the window, 0 for all that follow Row
	Cols     int // columns of the window, 0 for all that follow Col
	Act      Activation
}

// Linear adds a Linear operation; b may be nil.
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

// In implements [Op].
func (o *Linear) In() []*Tensor { return present(o.X, o.W, o.B, o.Add) }

// Out implements [Op].
func (o *Linear) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *Linear) Flops() float64 { return 2 * float64(o.X.Size()) * float64(o.Y.Cols()) }

// SwiGLU is the gate of Llama's MLP and of the energy head's blocks.
//
//	Y = SiLU(Gate) * Up, SiLU(x) = x / (1 + exp(-x))      all of one shape
type SwiGLU struct{ Gate, Up, Y *Tensor }

// SwiGLU adds a SwiGLU operation.
func (g *Graph) SwiGLU(gate, up *Tensor) *Tensor {
	check(up.is(gate.shape...), "swiglu", "gate %v, up %v", gate, up)
	y := g.value(gate.shape...)
	g.add(&SwiGLU{gate, up, y})
	return y
}

// In implements [Op].
func (o *SwiGLU) In() []*Tensor { return []*Tensor{o.Gate, o.Up} }

// Out implements [Op].
func (o *SwiGLU) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *SwiGLU) Flops() float64 { return 0 }

// Mul multiplies elementwise; dropout is Mul by a Bernoulli random tensor.
//
//	Y = X * Factor      all of one size
type Mul struct{ X, Factor, Y *Tensor }

// Mul adds a Mul operation. factor gets no gradient.
func (g *Graph) Mul(x, factor *Tensor) *Tensor {
	check(factor.Size() == x.Size(), "mul", "%v by %v", x, factor)
	y := g.value(x.shape...)
	g.add(&Mul{x, factor, y})
	return y
}

// In implements [Op].
func (o *Mul) In() []*Tensor { return []*Tensor{o.X, o.Factor} }

// Out implements [Op].
func (o *Mul) Out() []*Tensor { return []*Tensor{o.Y} }

// Flops implements [Op].
func (o *Mul) Flops() float64 { return 0 }
