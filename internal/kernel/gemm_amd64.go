package kernel

import "unsafe"

//go:generate go -C _asm run ./gemm -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg kernel

// at returns the address n elements after p.
func at(p *float32, n int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), 4*n)) }

func mulPanel(s ISA, m, k int, a []float32, aRow, aCol, aStrip int, b []float32, bRow int, c []float32, ldc int, accumulate bool) {
	pa, pb, pc := unsafe.SliceData(a), unsafe.SliceData(b), unsafe.SliceData(c)
	rows, _ := s.GemmTile()
	strips := m / rows
	if strips > 0 {
		mulStrips(s, rows, strips, k, pa, aRow, aCol, aStrip, pb, bRow, pc, ldc, accumulate)
	}
	if done := strips * rows; done < m {
		mulStrips(s, m-done, 1, k, at(pa, strips*aStrip), aRow, aCol, aStrip, pb, bRow, at(pc, done*ldc), ldc, accumulate)
	}
}

// mulStrips runs the register tile with that many rows.
func mulStrips(s ISA, rows, strips, k int, a *float32, aRow, aCol, aStrip int, b *float32, bRow int, c *float32, ldc int, accumulate bool) {
	if s == AVX512 {
		mulStripsAVX512(rows, strips, k, a, aRow, aCol, aStrip, b, bRow, c, ldc, accumulate)
		return
	}
	mulStripsAVX2(rows, strips, k, a, aRow, aCol, aStrip, b, bRow, c, ldc, accumulate)
}

func mulStripsAVX2(rows, strips, k int, a *float32, aRow, aCol, aStrip int, b *float32, bRow int, c *float32, ldc int, accumulate bool) {
	switch rows {
	case 6:
		gemmTile6AVX2(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 5:
		gemmTile5AVX2(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 4:
		gemmTile4AVX2(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 3:
		gemmTile3AVX2(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 2:
		gemmTile2AVX2(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 1:
		gemmTile1AVX2(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	}
}

func mulStripsAVX512(rows, strips, k int, a *float32, aRow, aCol, aStrip int, b *float32, bRow int, c *float32, ldc int, accumulate bool) {
	switch rows {
	case 12:
		gemmTile12AVX512(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 11:
		gemmTile11AVX512(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 10:
		gemmTile10AVX512(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 9:
		gemmTile9AVX512(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 8:
		gemmTile8AVX512(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 7:
		gemmTile7AVX512(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 6:
		gemmTile6AVX512(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 5:
		gemmTile5AVX512(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 4:
		gemmTile4AVX512(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 3:
		gemmTile3AVX512(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 2:
		gemmTile2AVX512(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	case 1:
		gemmTile1AVX512(strips, k, a, 4*aRow, 4*aCol, 4*aStrip, b, 4*bRow, c, 4*ldc, accumulate)
	}
}

func packRows(s ISA, dst []float32, panel int, src []float32, ld, panels, k int) {
	copyPanels(s, unsafe.SliceData(dst), panel, tileCols(s), unsafe.SliceData(src), ld, panels, k)
}

// copyRows copies a matrix at least a panel wide; the last panel overlaps the one before.
func copyRows(s ISA, dst []float32, ldd int, src []float32, lds, rows, cols int) {
	width := tileCols(s)
	d, p := unsafe.SliceData(dst), unsafe.SliceData(src)
	copyPanels(s, d, width, ldd, p, lds, cols/width, rows)
	if cols%width != 0 {
		copyPanels(s, at(d, cols-width), width, ldd, at(p, cols-width), lds, 1, rows)
	}
}

func copyPanels(s ISA, dst *float32, panel, step int, src *float32, ld, panels, k int) {
	if s == AVX512 {
		packRows32xAVX512(dst, 4*panel, 4*step, src, 4*ld, panels, k)
		return
	}
	packRows16xAVX2(dst, 4*panel, 4*step, src, 4*ld, panels, k)
}

func packStrips(s ISA, dst []float32, strip int, src []float32, ld, strips, k int) {
	rows, _ := s.GemmTile()
	if s == AVX512 {
		packRows12xAVX512(unsafe.SliceData(dst), 4*strip, 4*rows, unsafe.SliceData(src), 4*ld, strips, k)
		return
	}
	packRows6xAVX2(unsafe.SliceData(dst), 4*strip, 4*rows, unsafe.SliceData(src), 4*ld, strips, k)
}

func tileCols(s ISA) int {
	_, cols := s.GemmTile()
	return cols
}

// transpose takes matrices of at least 8 by 8 in bands of 8 rows, and bands in blocks of 8 by 8. If a size is no
// multiple of 8, the last band or block overlaps the one before. Its shuffles are 256 bits wide on AVX-512 too.
func transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	d, p := unsafe.SliceData(dst), unsafe.SliceData(src)
	for j := 0; j < rows; j += 8 {
		j := min(j, rows-8)
		transpose8xAVX2(at(d, j), 4*ldd, at(p, j*lds), 4*lds, cols/8)
		if cols%8 != 0 {
			transpose8xAVX2(at(d, (cols-8)*ldd+j), 4*ldd, at(p, j*lds+cols-8), 4*lds, 1)
		}
	}
}

func fmaPeak(s ISA, iterations int) {
	if s == AVX512 {
		fmaPeakAVX512(iterations)
		return
	}
	fmaPeakAVX2(iterations)
}

func readSum(s ISA, x []float32) float32 {
	var sum float32
	if s == AVX512 {
		if blocks := len(x) / 128; blocks > 0 {
			sum = readSumAVX512(unsafe.SliceData(x), blocks)
			x = x[blocks*128:]
		}
	} else if blocks := len(x) / 64; blocks > 0 {
		sum = readSumAVX2(unsafe.SliceData(x), blocks)
		x = x[blocks*64:]
	}
	return sum + readSumGo(x)
}
