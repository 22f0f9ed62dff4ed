package kernel

import "fmt"

// The matrix product is built from a register tile: a few rows of A against a panel of B, which is k rows of exactly as
// many columns as the tile is wide. A is read through two strides, so any transposition of it, packed or not, is the
// same kernel. Every element of C is one chain of multiply-adds in the order of k: it does not depend on where in a tile
// the element lies, hence neither on how the product was cut up, nor on the number of threads.

// GemmTile returns the size of the register tile. Panels of B are cols wide; rows is only a hint for cutting M.
func (s ISA) GemmTile() (rows, cols int) {
	switch s {
	case AVX512:
		return 12, 32
	case AVX2:
		return 6, 16
	}
	return portableRows, portableCols
}

// MulPanel computes C = A·B, or C += A·B with accumulate, for a panel of B. With cols as in [ISA.GemmTile]:
//
//	A(i,l) = a[i*aRow+l*aCol]  // [m, k]
//	B(l,j) = b[l*bRow+j]       // [k, cols]
//	C(i,j) = c[i*ldc+j]        // [m, cols]
func (s ISA) MulPanel(m, k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc int, accumulate bool) {
	if m <= 0 {
		return
	}
	_, cols := s.GemmTile()
	needLen("c", len(c), (m-1)*ldc+cols)
	if k > 0 {
		needLen("a", len(a), (m-1)*aRow+(k-1)*aCol+1)
		needLen("b", len(b), (k-1)*bRow+cols)
	} else {
		k = 0
	}
	if s == Portable {
		mulPanelGo(m, k, a, aRow, aCol, b, bRow, c, ldc, accumulate)
		return
	}
	mulPanel(s, m, k, a, aRow, aCol, b, bRow, c, ldc, accumulate)
}

// PackRows copies k rows of n columns into a panel, n at most the tile's cols, and fills it up with zeros:
//
//	dst[l*cols+j] = src[l*ld+j]  // [k, cols] from [k, n]
func (s ISA) PackRows(dst, src []float32, ld, n, k int) {
	_, cols := s.GemmTile()
	if k <= 0 {
		return
	}
	checkPanel(n, cols)
	needLen("dst", len(dst), k*cols)
	needLen("src", len(src), (k-1)*ld+n)
	if s != Portable && n == cols {
		packRows(s, dst, src, ld, k)
		return
	}
	packRowsGo(dst, src, ld, n, k, cols)
}

// PackColumns is [ISA.PackRows] for a matrix that lies transposed in src:
//
//	dst[l*cols+j] = src[j*ld+l]  // [k, cols] from [n, k]
func (s ISA) PackColumns(dst, src []float32, ld, n, k int) {
	_, cols := s.GemmTile()
	if k <= 0 {
		return
	}
	checkPanel(n, cols)
	needLen("dst", len(dst), k*cols)
	needLen("src", len(src), (n-1)*ld+k)
	if s != Portable {
		packColumns(s, dst, src, ld, n, k)
		return
	}
	packColumnsGo(dst, src, ld, n, k, cols)
}

// DotRows computes Y = X·Wᵀ, or Y += X·Wᵀ with accumulate, for few rows of X, reading W once and in order:
//
//	X(i,l) = x[i*ldx+l]  // [m, k]
//	W(j,l) = w[j*ldw+l]  // [n, k]
//	Y(i,j) = y[i*ldy+j]  // [m, n]
//
// An element's sum is ordered by k alone.
func (s ISA) DotRows(m, n, k int, x []float32, ldx int, w []float32, ldw int, y []float32, ldy int, accumulate bool) {
	if m <= 0 || n <= 0 {
		return
	}
	needLen("y", len(y), (m-1)*ldy+n)
	if k > 0 {
		needLen("x", len(x), (m-1)*ldx+k)
		needLen("w", len(w), (n-1)*ldw+k)
	} else {
		k = 0
	}
	if s == Portable || k == 0 {
		dotRowsGo(m, n, k, x, ldx, w, ldw, y, ldy, accumulate)
		return
	}
	dotRows(s, m, n, k, x, ldx, w, ldw, y, ldy, accumulate)
}

// FMAPeakFLOPs returns the floating-point operations in one iteration of [ISA.FMAPeak].
func (s ISA) FMAPeakFLOPs() int {
	switch s {
	case AVX512:
		return 12 * 2 * 16
	case AVX2:
		return 12 * 2 * 8
	}
	return 12 * 2
}

// FMAPeak runs iterations rounds of twelve independent multiply-adds on registers, the most arithmetic the instruction
// set can do: what a matrix product is measured against.
func (s ISA) FMAPeak(iterations int) {
	if s == Portable {
		fmaPeakGo(iterations)
		return
	}
	if iterations > 0 {
		fmaPeak(s, iterations)
	}
}

// ReadSum returns the sum of x in an unspecified order, as fast as memory delivers it: what kernels bound by memory are
// measured against.
func (s ISA) ReadSum(x []float32) float32 {
	if s == Portable || len(x) == 0 {
		return readSumGo(x)
	}
	return readSum(s, x)
}

func needLen(name string, have, need int) {
	if have < need {
		panic(fmt.Sprintf("kernel: %s has %d elements, the shape needs %d", name, have, need))
	}
}

func checkPanel(n, cols int) {
	if n < 1 || n > cols {
		panic(fmt.Sprintf("kernel: a panel of %d columns, it holds 1 to %d", n, cols))
	}
}
