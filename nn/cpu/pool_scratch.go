package cpu

import "unsafe"

// scratch is memory of one thread for the duration of a piece: products pack into it, other operations use it freely. It
// is kept from region to region, so a repeated run allocates nothing.
type scratch struct {
	buf []float32
	_   [40]byte // fills a cache line
}

// scratchOf returns at least gemmScratch elements of a thread's scratch, aligned to a cache line.
func (p *pool) scratchOf(worker int) []float32 { return p.scratchAtLeast(worker, gemmScratch) }

// scratchAtLeast returns at least n elements of a thread's scratch, aligned to a cache line. What it held is lost when it
// has to grow; slices taken before stay valid, but are other memory.
func (p *pool) scratchAtLeast(worker, n int) []float32 {
	s := &p.scratch[worker]
	if len(s.buf) < n {
		s.buf = alignedFloats(max(n, gemmScratch))
	}
	return s.buf
}

// shareAtLeast makes the memory that threads share during a product hold at least n elements. It is kept like scratch.
func (p *pool) shareAtLeast(n int) {
	if len(p.shared) < n {
		p.shared = alignedFloats(n)
	}
}

// alignedFloats allocates n elements that begin at a cache line.
func alignedFloats(n int) []float32 {
	const line = 64
	buf := make([]float32, n+line/4)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(buf))) % line / 4
	return buf[skip:][:n]
}
