package kernel

func mulPanel(s ISA, m, k int, a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc int, accumulate bool) {
	mulPanelGo(m, k, a, aRow, aCol, b, bRow, c, ldc, accumulate)
}

func packRows(s ISA, dst, src []float32, ld, k int) { packRowsGo(dst, src, ld, 4, k, 4) }

func packColumns(s ISA, dst, src []float32, ld, k int) { packColumnsGo(dst, src, ld, 4, k, 4) }

func dotRows(s ISA, m, n, k int, x []float32, ldx int, w []float32, ldw int, y []float32, ldy int, accumulate bool) {
	dotRowsGo(m, n, k, x, ldx, w, ldw, y, ldy, accumulate)
}

func fmaPeak(s ISA, iterations int)      { fmaPeakGo(iterations) }
func readSum(s ISA, x []float32) float32 { return readSumGo(x) }

// Pause leaves the core's resources to its other thread for some tens of cycles.
func Pause() {}
