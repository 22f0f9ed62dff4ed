package kernel

import "fmt"

// The matrix product is built from a register tile: a few rows of A against a panel of B, which is k rows of exactly as
// many columns as the tile is wide. A is read through two strides, so any transposition of it, packed or not, is the
// same kernel. Every element of C is one chain of multiply-adds in the order of k: it does not depend on where in a tile
// the element is, and so neither on how the product was cut, nor on the number of threads.

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

// MulPanel computes C = A·B for a panel of B, or C += A·B with accumulate. With rows and cols as in [ISA.GemmTile]:
//
//	A(i,l) = a[i/rows*aStrip+i%rows*aRow+l*aCol]  // [m, k]
//	B(l,j) = b[l*bRow+j]                          // [k, cols]
//	C(i,j) = c[i*ldc+j]                           // [m, cols]
func (s ISA) MulPanel(m, k int, a []float32, aRow, aCol, aStrip int, b []float32, bRow int, c []float32, ldc int, accumulate bool) {
	if m <= 0 {
		return
	}
	rows, cols := s.GemmTile()
	needLen("c", len(c), (m-1)*ldc+cols)
	if k > 0 {
		last := (m - 1) / rows
		end := last*aStrip + (m-1-last*rows)*aRow
		if last > 0 {
			end = max(end, (last-1)*aStrip+(rows-1)*aRow)
		}
		needLen("a", len(a), end+(k-1)*aCol+1)
		needLen("b", len(b), (k-1)*bRow+cols)
	} else {
		k = 0
	}
	if s == Portable {
		mulPanelGo(m, k, a, aRow, aCol, aStrip, b, bRow, c, ldc, accumulate)
		return
	}
	mulPanel(s, m, k, a, aRow, aCol, aStrip, b, bRow, c, ldc, accumulate)
}

// PackRows copies k rows of n columns into panels, each k rows of cols columns and beginning panel elements after the
// one before, and fills up the last with zeros:
//
//	dst[j/cols*panel+l*cols+j%cols] = src[l*ld+j]  // from [k, n]
func (s ISA) PackRows(dst []float32, panel int, src []float32, ld, n, k int) {
	if k <= 0 || n <= 0 {
		return
	}
	_, cols := s.GemmTile()
	needLen("dst", len(dst), (n-1)/cols*panel+k*cols)
	needLen("src", len(src), (k-1)*ld+n)
	whole := n / cols
	if s == Portable {
		whole = 0
	}
	if whole > 0 {
		packRows(s, dst, panel, src, ld, whole, k)
	}
	for j := whole * cols; j < n; j += cols {
		packRowsGo(dst[j/cols*panel:], src[j:], ld, min(cols, n-j), k, cols)
	}
}

// PackStrips copies k columns of A, which lie in rows of m elements, into strips of the tile's rows, each beginning
// strip elements after the one before. A last strip of fewer rows keeps its distances.
//
//	dst[i/rows*strip+l*rows+i%rows] = src[l*ld+i]  // from [k, m]
func (s ISA) PackStrips(dst []float32, strip int, src []float32, ld, m, k int) {
	if k <= 0 || m <= 0 {
		return
	}
	rows, _ := s.GemmTile()
	needLen("dst", len(dst), (m-1)/rows*strip+k*rows)
	needLen("src", len(src), (k-1)*ld+m)
	whole := m / rows
	if s == Portable {
		whole = 0
	}
	if whole > 0 {
		packStrips(s, dst, strip, src, ld, whole, k)
	}
	for i := whole * rows; i < m; i += rows {
		packRowsGo(dst[i/rows*strip:], src[i:], ld, min(rows, m-i), k, rows)
	}
}

// PackColumns is [ISA.PackRows] for a matrix that is stored transposed in src:
//
//	dst[j/cols*panel+l*cols+j%cols] = src[j*ld+l]  // from [n, k]
func (s ISA) PackColumns(dst []float32, panel int, src []float32, ld, n, k int) {
	if k <= 0 || n <= 0 {
		return
	}
	_, cols := s.GemmTile()
	needLen("dst", len(dst), (n-1)/cols*panel+k*cols)
	for j := 0; j < n; j += cols {
		wide := min(cols, n-j)
		to := dst[j/cols*panel:][:k*cols]
		s.Transpose(to, cols, src[j*ld:], ld, wide, k)
		if wide < cols {
			for l := range k {
				clear(to[l*cols+wide : (l+1)*cols])
			}
		}
	}
}

// PackColumnsBF16 is [ISA.PackColumns] for bfloat16, which it widens; tmp has room for a panel.
func (s ISA) PackColumnsBF16(dst []float32, panel int, src []uint16, ld, n, k int, tmp []float32) {
	cols := s.needWidened(len(src), ld, n, k, len(tmp))
	for j := 0; j < n && k > 0; j += cols {
		wide := min(cols, n-j)
		for i := range wide {
			s.WidenBF16(tmp[i*k:(i+1)*k], src[(j+i)*ld:][:k])
		}
		s.PackColumns(dst[j/cols*panel:], panel, tmp, k, wide, k)
	}
}

// PackColumnsInt8 is PackColumnsBF16 for int8. (A generic function for both would make callers allocate.)
func (s ISA) PackColumnsInt8(dst []float32, panel int, src []int8, ld, n, k int, tmp []float32) {
	cols := s.needWidened(len(src), ld, n, k, len(tmp))
	for j := 0; j < n && k > 0; j += cols {
		wide := min(cols, n-j)
		for i := range wide {
			s.WidenInt8(tmp[i*k:(i+1)*k], src[(j+i)*ld:][:k])
		}
		s.PackColumns(dst[j/cols*panel:], panel, tmp, k, wide, k)
	}
}

// needWidened checks what is widened, panel by panel, and returns the columns of a panel.
func (s ISA) needWidened(src, ld, n, k, tmp int) (cols int) {
	_, cols = s.GemmTile()
	if n > 0 && k > 0 {
		needLen("src", src, (n-1)*ld+k)
		needLen("tmp", tmp, min(n, cols)*k)
	}
	return cols
}

// CopyRows copies a matrix, fetching rows ahead:
//
//	dst[i*ldd+l] = src[i*lds+l]  // [rows, cols]
func (s ISA) CopyRows(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	needLen("dst", len(dst), (rows-1)*ldd+cols)
	needLen("src", len(src), (rows-1)*lds+cols)
	if _, width := s.GemmTile(); s != Portable && cols >= width {
		copyRows(s, dst, ldd, src, lds, rows, cols)
		return
	}
	for i := range rows {
		copy(dst[i*ldd:][:cols], src[i*lds:])
	}
}

// Transpose copies a transposed matrix:
//
//	dst[l*ldd+j] = src[j*lds+l]  // [cols, rows] from [rows, cols]
func (s ISA) Transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	needLen("dst", len(dst), (cols-1)*ldd+rows)
	needLen("src", len(src), (rows-1)*lds+cols)
	if s == Portable || rows < 8 || cols < 8 {
		transposeGo(dst, ldd, src, lds, rows, cols)
		return
	}
	transpose(dst, ldd, src, lds, rows, cols)
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

// FMAPeak runs iterations rounds of twelve independent multiply-adds on registers, the maximum arithmetic rate of the
// instruction set, which matrix products are compared with.
func (s ISA) FMAPeak(iterations int) {
	if s == Portable {
		fmaPeakGo(iterations)
		return
	}
	if iterations > 0 {
		fmaPeak(s, iterations)
	}
}

// ReadSum returns the sum of x in an unspecified order, as fast as memory delivers it. Kernels bound by memory are
// compared with it.
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
