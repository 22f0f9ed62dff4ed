package kernel

import "runtime"

// The portable twins of the matrix-product kernels: their definitions, and what runs where there is no assembly.

// Eight sums and six operands fit the 16 floating-point registers of amd64.
const (
	portableRows = 2
	portableCols = 4
)

func mulPanelGo(m, k int, a []float32, aRow, aCol, aStrip int, b []float32, bRow int, c []float32, ldc int, accumulate bool) {
	for i := 0; i < m; i += portableRows {
		strip := a[min(i/portableRows*aStrip, len(a)):]
		if i+portableRows <= m {
			mulTileGo(k, strip, aRow, aCol, b, bRow, c[i*ldc:], ldc, accumulate)
		} else {
			mulRowGo(k, strip, aCol, b, bRow, c[i*ldc:], accumulate)
		}
	}
}

func mulTileGo(k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc int, accumulate bool) {
	var s00, s01, s02, s03, s10, s11, s12, s13 float32
	for l := range k {
		x0, x1 := a[l*aCol], a[aRow+l*aCol]
		y := b[l*bRow:][:4]
		s00 += x0 * y[0]
		s01 += x0 * y[1]
		s02 += x0 * y[2]
		s03 += x0 * y[3]
		s10 += x1 * y[0]
		s11 += x1 * y[1]
		s12 += x1 * y[2]
		s13 += x1 * y[3]
	}
	storeRowGo(c, s00, s01, s02, s03, accumulate)
	storeRowGo(c[ldc:], s10, s11, s12, s13, accumulate)
}

func mulRowGo(k int, a []float32, aCol int, b []float32, bRow int, c []float32, accumulate bool) {
	var s0, s1, s2, s3 float32
	for l := range k {
		x := a[l*aCol]
		y := b[l*bRow:][:4]
		s0 += x * y[0]
		s1 += x * y[1]
		s2 += x * y[2]
		s3 += x * y[3]
	}
	storeRowGo(c, s0, s1, s2, s3, accumulate)
}

func storeRowGo(c []float32, s0, s1, s2, s3 float32, accumulate bool) {
	c = c[:4]
	if accumulate {
		s0, s1, s2, s3 = c[0]+s0, c[1]+s1, c[2]+s2, c[3]+s3
	}
	c[0], c[1], c[2], c[3] = s0, s1, s2, s3
}

func packRowsGo(dst, src []float32, ld, n, k, cols int) {
	for l := range k {
		row := dst[l*cols : (l+1)*cols]
		copy(row, src[l*ld:][:n])
		clear(row[n:])
	}
}

func transposeGo(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	for j := range rows {
		for l, v := range src[j*lds:][:cols] {
			dst[l*ldd+j] = v
		}
	}
}

func fmaPeakGo(iterations int) {
	var s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11 float32
	x, y := float32(.5), float32(.25)
	for range iterations {
		s0 = s0*x + y
		s1 = s1*x + y
		s2 = s2*x + y
		s3 = s3*x + y
		s4 = s4*x + y
		s5 = s5*x + y
		s6 = s6*x + y
		s7 = s7*x + y
		s8 = s8*x + y
		s9 = s9*x + y
		s10 = s10*x + y
		s11 = s11*x + y
	}
	runtime.KeepAlive(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11)
}

func readSumGo(x []float32) float32 {
	var s0, s1, s2, s3 float32
	for ; len(x) >= 4; x = x[4:] {
		s0 += x[0]
		s1 += x[1]
		s2 += x[2]
		s3 += x[3]
	}
	for _, v := range x {
		s0 += v
	}
	return (s0 + s1) + (s2 + s3)
}
