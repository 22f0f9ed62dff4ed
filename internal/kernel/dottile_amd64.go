package kernel

import "unsafe"

// tileKernels multiply 2 packed rows of X by tiles of 3 rows of W, and 3 by 2. Strides are in bytes.
type tileKernels [2]func(tiles int, w *float32, ldw int, x *float32, k int, sums, y *float32, ldy int,
	begin, end, accumulate bool, ahead uintptr, aheadStep int)

// wideningKernel multiplies 3 packed rows of X by tiles of 2 rows of W of another format, which it leaves as float32 in wide.
type wideningKernel[T weight] func(tiles int, w *T, ldw int, wide, x *float32, k int, sums, y *float32, ldy int,
	begin, end, accumulate bool, ahead uintptr, aheadStep int)

var (
	tilesAVX2   = tileKernels{dotTile2AVX2, dotTile3AVX2}
	tilesAVX512 = tileKernels{dotTile2AVX512, dotTile3AVX512}
)

// tileLeast is the number of rows of X from which tiles are faster than one row of W at a time: up to there, reading memory
// takes most of the time, and the processor asks for rows in their order by itself. From 5 rows on the first group has three.
const tileLeast = 7

// tiledDots is a product that takes W in bands of rows. Each group of rows of X is multiplied by the whole band. X is packed, so
// that a group stays in the first-level cache meanwhile; the band comes from the second-level cache for all groups but the
// first.
type tiledDots[T weight] struct {
	kernels    *tileKernels
	widening   wideningKernel[T] // nil if W is float32
	lanes      int               // of a vector
	m, k       int
	threes     int // rows of X in groups of three, which come first; the others are in groups of two
	piece      int // elements of a row that are multiplied together
	w          []T
	ldw        int
	y          []float32
	ldy        int
	accumulate bool
	packed     []float32 // X
	wide       []float32 // a piece of a band as float32
	sums       []float32 // of a band, where K is cut into pieces
	ahead      uintptr   // memory to ask for next
	aheadStep  int
}

// tileDots multiplies the first rows of W, as many as make whole tiles, and returns their number. It is 0 where tiles are
// not faster and where scratch is short.
func tileDots[T weight](s ISA, widening wideningKernel[T], m, n, k int, x []float32, ldx int, w []T, ldw int,
	y []float32, ldy int, accumulate bool, scratch []float32) int {
	band := dotBand / 2
	n -= n % band
	if m < tileLeast || n == 0 || len(scratch) < DotScratch(m, k) {
		return 0
	}
	if widening == nil {
		band = dotBand
	}
	pieces := (k + dotPiece - 1) / dotPiece
	size := m * roundUp(k, 16)
	d := tiledDots[T]{kernels: &tilesAVX2, widening: widening, lanes: 8, m: m, k: k, threes: 3 * (m - 2*((m+2)/3)),
		piece: roundUp((k+pieces-1)/pieces, 32), w: w, ldw: ldw, y: y, ldy: ldy, accumulate: accumulate,
		packed: scratch[:size], wide: scratch[size:][:dotBand*dotWide], sums: scratch[size+dotBand*dotWide:]}
	pack := packDotsAVX2
	if s == AVX512 {
		d.kernels, d.lanes, pack = &tilesAVX512, 16, packDotsAVX512
	}
	d.pack(pack, x, ldx)
	for j := 0; j < n; j += band {
		d.askFor(j+band, min(band, n-j-band), min(band, n-j))
		for lo := 0; lo < k; lo += d.piece {
			d.multiply(j, min(band, n-j), lo, min(lo+d.piece, k))
		}
	}
	return n
}

// rows returns the number of rows of the group of X that begins at row i.
func (d *tiledDots[T]) rows(i int) int {
	if i < d.threes {
		return 3
	}
	return 2
}

// pack packs X: of each piece of K all groups, of each group its vectors in the order of K, those of all rows side by side.
func (d *tiledDots[T]) pack(vectors func(dst *float32, step int, src *float32, vectors int), x []float32, ldx int) {
	dst, lanes := d.packed, d.lanes
	for lo := 0; lo < d.k; lo += d.piece {
		n := min(d.piece, d.k-lo)
		for first := 0; first < d.m; first += d.rows(first) {
			step := d.rows(first) * lanes
			for i := range d.rows(first) {
				src := x[(first+i)*ldx+lo:][:n]
				if n >= lanes {
					vectors(&dst[i*lanes], 4*step, &src[0], n/lanes)
				}
				if n%lanes > 0 {
					tail := dst[n/lanes*step+i*lanes:][:lanes]
					clear(tail)
					copy(tail, src[n/lanes*lanes:])
				}
			}
			dst = dst[roundUp(n, lanes)/lanes*step:]
		}
	}
}

// askFor makes the kernels ask for cols rows of W from row j on, if there are any, in the course of multiplying a band.
func (d *tiledDots[T]) askFor(j, cols, band int) {
	d.aheadStep = 0
	if cols <= 0 {
		d.ahead = uintptr(unsafe.Pointer(&d.w[0]))
		return
	}
	d.ahead = uintptr(unsafe.Pointer(&d.w[j*d.ldw]))
	tiles := d.threes/3*(band/2) + (d.m-d.threes)/2*(band/3)
	d.aheadStep = cols * 2 * d.lanes * int(unsafe.Sizeof(d.w[0])) / tiles
}

// multiply adds what elements [lo, hi) of the rows contribute to columns [j, j+cols) of Y.
func (d *tiledDots[T]) multiply(j, cols, lo, hi int) {
	n, size := hi-lo, int(unsafe.Sizeof(d.w[0]))
	band, ldw := &d.w[j*d.ldw+lo], size*d.ldw
	wide, ldWide := &d.wide[0], 4*dotWide
	if d.widening == nil {
		wide, ldWide = (*float32)(unsafe.Pointer(band)), ldw
	}
	x, sums := d.m*lo, 0
	for i := 0; i < d.m; {
		rows := d.rows(i)
		tiles := cols / (5 - rows)
		px, ps, py := &d.packed[x], &d.sums[sums], &d.y[i*d.ldy+j]
		if i == 0 && d.widening != nil {
			d.widening(tiles, band, ldw, wide, px, n, ps, py, 4*d.ldy, lo == 0, hi == d.k, d.accumulate, d.ahead, d.aheadStep)
		} else {
			d.kernels[rows-2](tiles, wide, ldWide, px, n, ps, py, 4*d.ldy, lo == 0, hi == d.k, d.accumulate, d.ahead, d.aheadStep)
		}
		d.ahead += uintptr(tiles * (n / (2 * d.lanes)) * d.aheadStep)
		x += rows * roundUp(n, d.lanes)
		sums += 2 * rows * cols * d.lanes
		i += rows
	}
}
