//go:build !amd64

package kernel

// Only [Portable] is available here, so nothing reaches these.

func mulPanel(s ISA, m, k int, a []float32, aRow, aCol, aStrip int, b []float32, bRow int, c []float32, ldc int, accumulate bool) {
	panic("kernel: no assembly on this platform")
}

func packRows(s ISA, dst []float32, panel int, src []float32, ld, panels, k int) {
	panic("kernel: no assembly on this platform")
}

func packStrips(s ISA, dst []float32, strip int, src []float32, ld, strips, k int) {
	panic("kernel: no assembly on this platform")
}

func copyRows(s ISA, dst []float32, ldd int, src []float32, lds, rows, cols int) {
	panic("kernel: no assembly on this platform")
}

func transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	panic("kernel: no assembly on this platform")
}

func dotRows(s ISA, m, n, k int, x []float32, ldx int, w []float32, ldw int, y []float32, ldy int, accumulate bool, scratch []float32) {
	panic("kernel: no assembly on this platform")
}

func dotRowsBF16(s ISA, m, n, k int, x []float32, ldx int, w []uint16, ldw int, y []float32, ldy int, accumulate bool, scratch []float32) {
	panic("kernel: no assembly on this platform")
}

func dotRowsInt8(s ISA, m, n, k int, x []float32, ldx int, w []int8, ldw int, y []float32, ldy int, accumulate bool) {
	panic("kernel: no assembly on this platform")
}

func widenInt8(s ISA, dst []float32, src []int8)   { panic("kernel: no assembly on this platform") }
func widenBF16(s ISA, dst []float32, src []uint16) { panic("kernel: no assembly on this platform") }
func roundBF16(s ISA, dst []uint16, src []float32) { panic("kernel: no assembly on this platform") }

func fmaPeak(s ISA, iterations int)      { panic("kernel: no assembly on this platform") }
func readSum(s ISA, x []float32) float32 { panic("kernel: no assembly on this platform") }

// Pause does nothing here; on amd64 it leaves the core's resources to its other thread for some tens of cycles.
func Pause() {}
