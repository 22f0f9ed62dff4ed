package cpu

import "github.com/calm-go/calm/internal/kernel"

// A product is cut into blocks of C, each computed by one thread from start to end, so that threads share nothing but
// their input. Within a block K is cut into pieces of kc; of each piece the block's part of B is packed into panels as
// wide as the register tile, then A is multiplied by it in pieces of mc rows, copied where its strides would make the cache
// lines of one tile compete.

const (
	gemmKC  = 320  // rows of a panel of B at most: with 16 columns it leaves room for A in a first-level cache
	gemmNC  = 512  // columns of B packed at a time
	gemmMC  = 144  // rows of A copied at a time, a multiple of every tile's: a third of a second-level cache
	gemmPad = 16   // elements between packed rows of A and panels of B, so that they do not compete for the same cache lines
	gemmMR  = 1024 // rows of a block at most

	// thinRows is how many rows of a stream are at most multiplied by rows of a transposed B as they are in memory. For more
	// rows, packing B pays.
	thinRows = 16

	gemmPackedA = gemmMC * (gemmKC + gemmPad)
	gemmPackedB = gemmNC*gemmKC + gemmNC/portableWidth*gemmPad
	gemmTail    = gemmMC * 32 // a panel of C with columns beyond the matrix

	// gemmScratch is the memory a thread needs for packing.
	gemmScratch = gemmPackedA + gemmPackedB + gemmTail

	portableWidth = 4 // the narrowest panel
)

// gemmPlan is how a product is cut.
type gemmPlan struct {
	rows, cols int  // size of a block of C
	across     int  // blocks side by side
	thin       bool // few rows of a stream against the rows of a transposed B
	packB      bool // false: panels of B are read in place
	packA      bool
}

// planGemm cuts a product for that many threads. The cuts do not change a bit of the result: the order of a sum follows
// from K alone, and whether a product is thin from its shape.
func planGemm(isa kernel.ISA, a *gemmArgs, threads int) gemmPlan {
	tileRows, tileCols := isa.GemmTile()
	p := gemmPlan{rows: a.M, cols: a.N}
	if p.thin = a.M <= thinRows*max(a.Streams, 1) && a.BRow == 1 && a.ACol == 1 && a.K > 0; p.thin {
		// A block streams some 128 kB of weights, or 64 kB of int8, in few rows where they are long.
		p.cols = max(1<<15/a.K, 8)
		switch {
		case a.BInt8 != nil:
			p.cols = max(1<<16/a.K/4*4, 8) // the kernel takes four rows at a time
		case a.M > 6: // tiles
			p.cols = tiledCols(a.N, a.K, 2*threads)
		}
		p.cols = min(a.N, p.cols)
		p.across = (a.N + p.cols - 1) / p.cols
		if parts := (2*threads + p.across - 1) / p.across; parts > 1 && a.M > thinRows {
			p.rows = roundUp((a.M+parts-1)/parts, thinRows) // few weights, which stay in a cache
		}
		return p
	}
	p.packB = a.BHalf != nil || a.BInt8 != nil || a.BCol != 1 || a.M > 4*tileRows
	p.packA = a.N > 4*tileCols && a.M > tileRows && !(a.ACol == 1 && a.ARow <= gemmKC) // short rows do not compete
	p.rows, p.cols = cutGemm(a.M, a.N, a.K, tileRows, tileCols, threads)
	p.across = (a.N + p.cols - 1) / p.cols
	return p
}

// tiledCols returns the columns of a block of a thin product that copies A for every block. If there is enough to do, a
// block has some 512 kB of weights or 96 rows of them, and the number of blocks is a multiple of least.
func tiledCols(n, k, least int) int {
	const small, large, rows = 1 << 15, 1 << 17, 96
	blocks := min((n*k+large-1)/large, (n+rows-1)/rows)
	if blocks >= least {
		blocks = roundUp(blocks, least)
	} else {
		blocks = min((n*k+small-1)/small, least)
	}
	return roundUp((n+blocks-1)/blocks, 12) // rows of weights are multiplied twelve at a time
}

// cutGemm halves the longer side of the block until there are two blocks a thread, or four if they stay large enough to
// amortise packing. Then a block that is delayed costs little. It stops before a block takes less than some 20 µs, or 5
// µs while there are fewer blocks than threads.
func cutGemm(m, n, k, tileRows, tileCols, threads int) (rows, cols int) {
	const small, large = 1 << 20, 256 // multiply-adds; rows and columns
	rows, cols = cutEvenly(m, gemmMR, tileRows), cutEvenly(n, gemmNC, tileCols)
	if threads == 1 {
		return rows, cols
	}
	for {
		blocks := ((m + rows - 1) / rows) * ((n + cols - 1) / cols)
		r, c := roundUp((rows+1)/2, tileRows), roundUp((cols+1)/2, tileCols)
		if r < rows && (rows > cols || c == cols) {
			c = cols
		} else {
			r = rows
		}
		work := rows * cols * k
		short := work < small/4 || work < small && blocks >= threads
		enough := blocks >= 4*threads || blocks >= 2*threads && min(r, c) < large
		if short || enough || r == rows && c == cols {
			return rows, cols
		}
		rows, cols = r, c
	}
}

// cutEvenly returns a size of at most limit, a multiple of tile, that cuts n into pieces of nearly equal size.
func cutEvenly(n, limit, tile int) int {
	pieces := (n + limit - 1) / limit
	return min(roundUp((n+pieces-1)/pieces, tile), roundUp(n, tile), limit)
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// pieces returns the number of blocks.
func (p *gemmPlan) pieces(a *gemmArgs) int { return (a.M + p.rows - 1) / p.rows * p.across }

// piece returns the rows and columns of block i.
func (p *gemmPlan) piece(a *gemmArgs, i int) (i0, i1, j0, j1 int) {
	i0, j0 = i/p.across*p.rows, i%p.across*p.cols
	return i0, min(i0+p.rows, a.M), j0, min(j0+p.cols, a.N)
}

// block computes rows [i0, i1) and columns [j0, j1) of C.
func (p *gemmPlan) block(isa kernel.ISA, scratch []float32, a *gemmArgs, i0, i1, j0, j1 int) {
	if p.thin {
		a.dots(isa, scratch, i0, i1, j0, j1)
		a.epilogue(isa, i0, i1, j0, j1)
		return
	}
	s := gemmBlock{
		gemmArgs: a, plan: p, isa: isa,
		packedA: scratch[:gemmPackedA],
		packedB: scratch[gemmPackedA:][:gemmPackedB],
		tail:    scratch[gemmPackedA+gemmPackedB:][:gemmTail],
	}
	s.height, s.width = isa.GemmTile()
	pieces := max((a.K+gemmKC-1)/gemmKC, 1)
	kc := max(roundUp((a.K+pieces-1)/pieces, 8), 1)
	for l0 := 0; l0 == 0 || l0 < a.K; l0 += kc {
		l1 := min(l0+kc, a.K)
		s.loadB(l0, l1, j0, j1)
		for i := i0; i < i1; i += gemmMC {
			end := min(i+gemmMC, i1)
			s.mul(i, end, l0, l1, j0, j1)
			if l1 == a.K {
				a.epilogue(isa, i, end, j0, j1)
			}
		}
	}
}

// dots computes rows [i0, i1) and columns [j0, j1) of A·B [+ C], as many rows at a time as fit a second-level cache.
func (a *gemmArgs) dots(isa kernel.ISA, scratch []float32, i0, i1, j0, j1 int) {
	together := thinRows
	if a.BInt8 == nil {
		together = max(1<<16/a.K, thinRows)
	}
	groups := (i1 - i0 + together - 1) / together
	for g := range groups {
		a.dotsOf(isa, scratch, i0+g*(i1-i0)/groups, i0+(g+1)*(i1-i0)/groups, j0, j1)
	}
}

// dotsOf computes rows [i0, i1) and columns [j0, j1) of A·B [+ C].
func (a *gemmArgs) dotsOf(isa kernel.ISA, scratch []float32, i0, i1, j0, j1 int) {
	m, n, x, y, w := i1-i0, j1-j0, a.A[i0*a.ARow:], a.C[i0*a.LDC+j0:], j0*a.BCol
	switch {
	case a.BHalf != nil:
		isa.DotRowsBF16(m, n, a.K, x, a.ARow, a.BHalf[w:], a.BCol, y, a.LDC, a.Accumulate, scratch)
	case a.BInt8 != nil:
		isa.DotRowsInt8(m, n, a.K, x, a.ARow, a.BInt8[w:], a.BCol, y, a.LDC, a.Accumulate)
	default:
		isa.DotRows(m, n, a.K, x, a.ARow, a.B[w:], a.BCol, y, a.LDC, a.Accumulate, scratch)
	}
}

// gemmBlock is the computation of a block of C.
type gemmBlock struct {
	*gemmArgs
	plan    *gemmPlan
	isa     kernel.ISA
	width   int // of a panel of B
	height  int // of a strip of A
	panel   int // elements from one panel to the next
	packedA []float32
	packedB []float32
	tail    []float32
}

// loadB packs rows [l0, l1) and columns [j0, j1) of B into panels. A last panel that is not full is packed even where
// the others are read in place.
func (s *gemmBlock) loadB(l0, l1, j0, j1 int) {
	k := l1 - l0
	first := j0
	if !s.plan.packB {
		first += (j1 - j0) / s.width * s.width
	}
	if k == 0 || first == j1 {
		return
	}
	s.panel = k*s.width + gemmPad
	dst := s.packedB[(first-j0)/s.width*s.panel:]
	at := l0*s.BRow + first*s.BCol
	switch { // A is packed later: its memory is free
	case s.BHalf != nil:
		s.isa.PackColumnsBF16(dst, s.panel, s.BHalf[at:], s.BCol, j1-first, k, s.packedA)
		return
	case s.BInt8 != nil:
		s.isa.PackColumnsInt8(dst, s.panel, s.BInt8[at:], s.BCol, j1-first, k, s.packedA)
		return
	}
	src := s.B[at:]
	switch {
	case s.BCol == 1:
		s.isa.PackRows(dst, s.panel, src, s.BRow, j1-first, k)
	case s.BRow == 1:
		s.isa.PackColumns(dst, s.panel, src, s.BCol, j1-first, k)
	default:
		for j := first; j < j1; j += s.width {
			packAny(dst[(j-first)/s.width*s.panel:], s.B[l0*s.BRow+j*s.BCol:], s.BRow, s.BCol, min(s.width, j1-j), k, s.width)
		}
	}
}

// packAny is [kernel.ISA.PackRows] for a matrix without a stride of 1. No model has one.
func packAny(dst, src []float32, row, col, n, k, width int) {
	for l := range k {
		d := dst[l*width : (l+1)*width]
		for j := range d {
			d[j] = 0
			if j < n {
				d[j] = src[l*row+j*col]
			}
		}
	}
}

// mul adds the product of rows [i0, i1) of A and the loaded part of B to C.
func (s *gemmBlock) mul(i0, i1, l0, l1, j0, j1 int) {
	m, k := i1-i0, l1-l0
	var a []float32
	aRow, aCol, aStrip := s.ARow, s.ACol, s.height*s.ARow
	if k > 0 {
		a = s.A[i0*aRow+l0*aCol:]
		if s.plan.packA {
			a, aRow, aCol, aStrip = s.loadA(a, m, k)
		}
	}
	accumulate := s.Accumulate || l0 > 0
	for j := j0; j < j1; j += s.width {
		var b []float32
		bRow := s.width
		switch {
		case k == 0:
		case s.plan.packB || j+s.width > j1:
			b = s.packedB[(j-j0)/s.width*s.panel:]
		default:
			b, bRow = s.B[l0*s.BRow+j:], s.BRow
		}
		if j+s.width <= j1 {
			s.isa.MulPanel(m, k, a, aRow, aCol, aStrip, b, bRow, s.C[i0*s.LDC+j:], s.LDC, accumulate)
			continue
		}
		s.isa.MulPanel(m, k, a, aRow, aCol, aStrip, b, bRow, s.tail, s.width, false)
		s.storeTail(i0, i1, j, j1, accumulate)
	}
}

// loadA copies a piece of A: rows stay rows, columns become strips as high as the register tile.
func (s *gemmBlock) loadA(a []float32, m, k int) (packed []float32, row, col, strip int) {
	switch {
	case s.ACol == 1:
		row = k + gemmPad
		s.isa.CopyRows(s.packedA, row, a, s.ARow, m, k)
		return s.packedA, row, 1, s.height * row
	case s.ARow == 1:
		strip = s.height*k + gemmPad
		s.isa.PackStrips(s.packedA, strip, a, s.ACol, m, k)
		return s.packedA, 1, s.height, strip
	}
	return a, s.ARow, s.ACol, s.height * s.ARow
}

// storeTail copies those columns of a panel that is not full that belong to the matrix.
func (s *gemmBlock) storeTail(i0, i1, j0, j1 int, accumulate bool) {
	for i := i0; i < i1; i++ {
		c, t := s.C[i*s.LDC+j0:][:j1-j0], s.tail[(i-i0)*s.width:][:j1-j0]
		if !accumulate {
			copy(c, t)
			continue
		}
		for j, v := range t {
			c[j] += v
		}
	}
}

// ends reports whether anything follows the product.
func (a *gemmArgs) ends() bool {
	return a.BScale != nil || a.Bias != nil || a.Add != nil || a.Act != actNone || a.Pre != nil
}

// epilogue applies what follows the product to rows [i0, i1) and columns [j0, j1) of C.
func (a *gemmArgs) epilogue(isa kernel.ISA, i0, i1, j0, j1 int) {
	if !a.ends() {
		return
	}
	period := a.addRows()
	for i := i0; i < i1; i++ {
		c := a.C[i*a.LDC+j0:][:j1-j0]
		if a.BScale != nil {
			isa.Mul(c, c, a.BScale[j0:j1])
		}
		if a.Bias != nil {
			isa.Add(c, c, a.Bias[j0:j1])
		}
		if a.Add != nil {
			isa.Add(c, c, a.Add[i%period*a.LDAdd+j0:][:j1-j0])
		}
		if a.Pre != nil {
			copy(a.Pre[i*a.LDC+j0:][:j1-j0], c)
		}
		if a.Act == actSiLU {
			isa.SiLU(c, c)
		}
	}
}
