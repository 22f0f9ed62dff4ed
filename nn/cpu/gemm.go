package cpu

import (
	"fmt"

	"github.com/calm-go/calm/internal/kernel"
)

// activation is the function a product ends with.
type activation uint8

const (
	actNone activation = iota
	actSiLU
)

// gemmArgs describes one matrix product and what is applied to the result while it is in the cache:
//
//	C = act(A·B [+ C] + Bias + Add)
//
// With BInt8, A·B is multiplied by BScale: column j of B is BInt8's times BScale[j].
// All strides are in elements, at least 0 for A and B.
type gemmArgs struct {
	M, N, K int
	Streams int // that the M rows belong to, equally many to each; 0 is 1

	A          []float32 // [M, K]: A(i,l) = A[i*ARow+l*ACol]
	ARow, ACol int
	B          []float32 // [K, N]: B(l,j) = B[l*BRow+j*BCol]
	BHalf      []uint16  // or B as bfloat16, with BRow 1
	BInt8      []int8    // or B as int8, with BRow 1 and without Accumulate
	BScale     []float32 // [N]: of the columns of BInt8
	BRow, BCol int
	C          []float32 // [M, N]: C(i,j) = C[i*LDC+j]
	LDC        int

	Accumulate bool      // keep what C holds as a term
	Bias       []float32 // [N] or nil: added to every row
	Add        []float32 // or nil: added to row i is its row i % AddPeriod; AddPeriod 0 is M
	LDAdd      int
	AddPeriod  int
	Act        activation
	Pre        []float32 // or nil: receives the input of Act, laid out as C
}

// gemm is a matrix product that is run many times. Between runs anything in args may be replaced, M included: planning
// takes nanoseconds. Products share the pool's scratch memory.
//
// An element of C is summed in an order that follows from the rows of a stream, N, K and the strides, never from the number
// of threads.
type gemm struct {
	args gemmArgs

	pool  *pool
	isa   kernel.ISA
	plan  gemmPlan
	depth int                 // pieces of K
	sums  int                 // offset in the pool's shared memory of the sums of all pieces of K but the first
	n     int                 // pieces of the region
	next  *gemm               // its pieces run in the same region
	piece func(worker, i int) // made once: a run must not allocate it
	add   func(worker, i int)
}

func newGemm(p *pool, isa kernel.ISA, a gemmArgs) *gemm {
	g := &gemm{args: a, pool: p, isa: isa}
	g.piece, g.add = g.runPiece, g.addSums
	return g
}

// run computes the product on all threads of the pool.
func (g *gemm) run() { g.runWith(nil) }

// runWith computes g and h, neither of which reads what the other writes, in one region of the pool; h may be nil.
func (g *gemm) runWith(h *gemm) {
	g.next = h
	n, sums := g.prepare(0)
	if h != nil {
		h.next = nil
		more, end := h.prepare(sums)
		n, sums = n+more, end
	}
	g.pool.shareAtLeast(sums)
	g.pool.run(n, g.piece)
	g.finish()
	if h != nil {
		h.finish()
	}
}

// prepare plans a run whose partial sums begin at an offset of the shared memory. It returns the number of pieces and
// the offset where the sums end.
func (g *gemm) prepare(sums int) (pieces, end int) {
	a := &g.args
	g.n, g.depth, g.sums = 0, 1, sums
	if a.M <= 0 || a.N <= 0 {
		return 0, sums
	}
	a.check()
	g.depth = a.depth()
	g.plan = planGemm(g.isa, a, (g.pool.threads+g.depth-1)/g.depth)
	g.n = g.plan.pieces(a) * g.depth
	return g.n, sums + (g.depth-1)*a.M*a.N
}

func (g *gemm) runPiece(worker, i int) {
	if i >= g.n {
		g.next.runPiece(worker, i-g.n)
		return
	}
	a, p := &g.args, &g.plan
	blocks := g.n / g.depth
	i0, i1, j0, j1 := p.piece(a, i%blocks)
	scratch := g.pool.scratchOf(worker)
	if g.depth == 1 {
		p.block(g.isa, scratch, a, i0, i1, j0, j1)
		return
	}
	part := g.part(i / blocks)
	p.block(g.isa, scratch, &part, i0, i1, j0, j1)
}

// finish adds the sums of the pieces of K.
func (g *gemm) finish() {
	if g.depth > 1 {
		g.pool.run(cutRows(g.args.M, g.args.N).pieces(), g.add)
	}
}

// gemmSerial computes a product on the calling thread with scratch of at least gemmScratch elements, and allocates
// nothing: for products within a piece of work.
func gemmSerial(isa kernel.ISA, scratch []float32, a *gemmArgs) {
	if a.M <= 0 || a.N <= 0 {
		return
	}
	a.check()
	p := planGemm(isa, a, 1)
	for i := range p.pieces(a) {
		i0, i1, j0, j1 := p.piece(a, i)
		p.block(isa, scratch, a, i0, i1, j0, j1)
	}
}

// check panics where a slice is shorter than its shape.
func (a *gemmArgs) check() {
	if a.ARow < 0 || a.ACol < 0 || a.BRow < 0 || a.BCol < 0 || a.K < 0 {
		panic(fmt.Sprintf("cpu: product of [%d, %d] by [%d, %d]: negative size or stride", a.M, a.K, a.K, a.N))
	}
	if (a.BHalf != nil || a.BInt8 != nil) && a.BRow != 1 {
		panic(fmt.Sprintf("cpu: product of [%d, %d] by [%d, %d]: B is bfloat16 or int8 and not transposed", a.M, a.K, a.K, a.N))
	}
	if a.BInt8 != nil {
		a.need("BScale", len(a.BScale), a.N)
		if a.Accumulate {
			panic(fmt.Sprintf("cpu: product of [%d, %d] by [%d, %d]: what C holds would be scaled too", a.M, a.K, a.K, a.N))
		}
	}
	c := (a.M-1)*a.LDC + a.N
	a.need("C", len(a.C), c)
	if a.K > 0 {
		a.need("A", len(a.A), (a.M-1)*a.ARow+(a.K-1)*a.ACol+1)
		a.need("B", max(len(a.B), len(a.BHalf), len(a.BInt8)), (a.K-1)*a.BRow+(a.N-1)*a.BCol+1)
	}
	if a.M > 1 && a.LDC < a.N {
		panic(fmt.Sprintf("cpu: product of [%d, %d] by [%d, %d]: rows of C overlap, LDC is %d", a.M, a.K, a.K, a.N, a.LDC))
	}
	if a.Bias != nil {
		a.need("Bias", len(a.Bias), a.N)
	}
	if a.Add != nil {
		a.need("Add", len(a.Add), (a.addRows()-1)*a.LDAdd+a.N)
	}
	if a.Pre != nil {
		a.need("Pre", len(a.Pre), c)
	}
}

func (a *gemmArgs) need(name string, have, need int) {
	if have < need {
		panic(fmt.Sprintf("cpu: product of [%d, %d] by [%d, %d]: %s has %d elements, needs %d", a.M, a.K, a.K, a.N, name, have, need))
	}
}

// setB makes B the transposed weights that begin at an element of w, whose rows are BCol long.
func (a *gemmArgs) setB(w *buf, at int) {
	a.B, a.BHalf, a.BInt8, a.BScale = nil, nil, nil, nil
	switch {
	case w.half != nil:
		a.BHalf = w.half[at:]
	case w.narrow != nil:
		a.BInt8, a.BScale = w.narrow[at:], w.scales[at/a.BCol:]
	default:
		a.B = w.f[at:]
	}
}

// addRows returns the number of rows of Add that are read.
func (a *gemmArgs) addRows() int {
	if a.AddPeriod > 0 {
		return min(a.AddPeriod, a.M)
	}
	return a.M
}
