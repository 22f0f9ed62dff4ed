package cpu

import "github.com/calm-go/calm/internal/kernel"

// rows cuts n rows into pieces for the pool. The pieces follow from the shape alone, so that sums over pieces are the same
// for any number of threads, and each has enough work to be worth a call.
type rows struct {
	n, per int
}

// cutRows cuts n rows of cols elements.
func cutRows(n, cols int) rows {
	const (
		pieces = 64   // at most
		work   = 8192 // elements in a piece, at least
	)
	per := max((n+pieces-1)/pieces, (work+cols-1)/max(cols, 1), 1)
	return rows{n, min(per, max(n, 1))}
}

// pieces returns the number of pieces.
func (r rows) pieces() int { return (r.n + r.per - 1) / r.per }

// piece returns the rows lo <= row < hi of piece i.
func (r rows) piece(i int) (lo, hi int) { return i * r.per, min((i+1)*r.per, r.n) }

// cutFlat cuts n elements into pieces at multiples of 64 elements.
func cutFlat(n int) rows {
	per := max((n+63)/64, 8192)
	return rows{n, (per + 63) / 64 * 64}
}

// sumPartials sums the rows of partial, in order, into dst: overwriting it, or added to it.
func sumPartials(isa kernel.ISA, dst, partial []float32, add bool) {
	d := len(dst)
	if !add {
		copy(dst, partial[:d])
		partial = partial[d:]
	}
	for ; len(partial) >= d; partial = partial[d:] {
		isa.Add(dst, dst, partial[:d])
	}
}
