package cpu

import (
	"fmt"

	"github.com/calm-go/calm/nn"
)

// embedding: Y[i] = Table[IDs[i]]. Backward adds dY[i] to row IDs[i] of dTable, a range of columns at a time, so
// that a row's contributions are summed in the order of i whatever the number of threads.
type embedding struct {
	p          *Program
	op         *nn.Embedding
	ids        []int32
	table, y   *buf
	dy         *buf
	dtable     *grad
	width      int // D
	cut, cols  rows
	fwd, bwd   func(worker, i int)
	clearRows  rows
	clearPiece func(worker, i int)
}

func newEmbedding(c *compiler, op *nn.Embedding) step {
	o := &embedding{p: c.Program, op: op, ids: c.ints[op.IDs.Root().ID()], table: c.read(op.Table), y: c.write(op.Y), width: op.Y.Cols()}
	o.cut = cutRows(len(o.ids), o.width)
	o.cols = rows{o.width, 64}
	o.clearRows = cutFlat(op.Table.Size())
	if o.dy = c.upstream(op.Y); o.dy != nil {
		o.dtable = c.downstream(op.Table)
	}
	o.fwd, o.bwd, o.clearPiece = o.lookup, o.scatter, o.zero
	return o
}

func (o *embedding) forward() error {
	v := o.op.Table.Dim(0)
	if err := checkIDs(o.ids, 0, v); err != nil {
		return fmt.Errorf("embedding %s: %w", o.op.Table.Name(), err)
	}
	o.p.eng.pool.run(o.cut.pieces(), o.fwd)
	return nil
}

// checkIDs fails for ids outside [lo, v).
func checkIDs(ids []int32, lo int32, v int) error {
	for i, id := range ids {
		if id < lo || int(id) >= v {
			return fmt.Errorf("token id %d at position %d is outside the vocabulary of %d", id, i, v)
		}
	}
	return nil
}

func (o *embedding) lookup(_, i int) {
	lo, hi := o.cut.piece(i)
	d := o.width
	for r := lo; r < hi; r++ {
		id, y := int(o.ids[r]), o.y.f[r*d:(r+1)*d]
		switch at, isa := id*d, o.p.eng.isa; {
		case o.table.half != nil:
			isa.WidenBF16(y, o.table.half[at:at+d])
		case o.table.narrow != nil:
			isa.WidenInt8(y, o.table.narrow[at:at+d])
			isa.Scale(y, o.table.scales[id], y)
		default:
			copy(y, o.table.f[at:at+d])
		}
	}
}

func (o *embedding) backward() {
	if o.dtable == nil {
		return
	}
	if !o.dtable.adds(o.p) {
		o.p.eng.pool.run(o.clearRows.pieces(), o.clearPiece)
	}
	o.p.eng.pool.run(o.cols.pieces(), o.bwd)
}

func (o *embedding) zero(_, i int) {
	lo, hi := o.clearRows.piece(i)
	clear(o.dtable.f[lo:hi])
}

func (o *embedding) scatter(_, i int) {
	lo, hi := o.cols.piece(i)
	d, isa := o.width, o.p.eng.isa
	for r, id := range o.ids {
		if int(id) == o.op.PadID {
			continue
		}
		row := o.dtable.f[int(id)*d+lo : int(id)*d+hi]
		isa.Add(row, row, o.dy.f[r*d+lo:r*d+hi])
	}
}
