package nn

// Embedding looks up rows of a table.
//
//	Y[i] = Table[IDs[i]]
//
// An id outside [0, V) is an error of the run.
type Embedding struct {
	IDs   *Tensor // [..] int32
	Table *Tensor // [V, D]
	Y     *Tensor // [.., D]
	PadID int     // the row of Table that gets no gradient (PyTorch's padding_idx), -1 for none
}

// Embedding adds an Embedding operation and returns its Y [.., D]: table [V, D], ids [..] int32.
func (g *Graph) Embedding(table, ids *Tensor, padID int) *Tensor {
	check(ids.dtype == Int32 && len(table.shape) == 2, "embedding", "ids %v, table %v", ids, table)
	y := g.value(append(append([]int{}, ids.shape...), table.Cols())...)
	g.add(&Embedding{IDs: ids, Table: table, Y: y, PadID: padID})
	return y
}

// Describe implements [Op]. A run reads the rows it looks up, not the whole table.
func (o *Embedding) Describe() Description {
	return Description{
		In:    []*Tensor{o.IDs, o.Table},
		Out:   []*Tensor{o.Y},
		Grad:  []*Tensor{o.Table},
		Flops: NoProducts(),
		Reads: map[*Tensor]int{o.Table: o.Y.Size()},
	}
}
