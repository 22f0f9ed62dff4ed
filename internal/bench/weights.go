package bench

import (
	"context"
	"fmt"

	"github.com/calm-go/calm/internal/bfloat16"
	"github.com/calm-go/calm/internal/quantize"
	"github.com/calm-go/calm/nn"
	"github.com/calm-go/calm/nn/cpu"
	"github.com/calm-go/calm/run"
)

// weightsBytes is the size of a matrix of weights that is larger than the caches, and weightsColumns the length of its rows.
const (
	weightsBytes   = 128 << 20
	weightsColumns = 1024
)

// measureWeights measures products of a few rows with weights of each format, which take that many bytes, in turns. Such a
// product cannot be faster than memory is read. Writing one text is products of one row, and of one row for each token of a
// patch.
func (o GemmOptions) measureWeights(ctx context.Context, eng *cpu.Engine, bytes int) error {
	formats := []run.DType{run.Float32, run.BFloat16, run.Int8}
	var all []*nn.Param
	for _, d := range formats {
		all = append(all, randomWeights(d, bytes))
	}
	peak := readPeak(eng.ISA(), eng.Threads())
	for _, m := range []int{1, 4, 16} {
		x := randomFloats(m * weightsColumns)
		var turns []*series
		for _, w := range all {
			multiply := eng.MatMulWeights(m, x, w, cpu.AlignedFloats(m*w.Shape[0]))
			turns = append(turns, &series{peak: peak, run: func() error {
				multiply()
				return nil
			}})
		}
		if err := measure(ctx, o.duration(), turns...); err != nil {
			return err
		}
		for i, s := range turns {
			shape := fmt.Sprintf("%dx%dx%d %s", m, all[i].Shape[0], weightsColumns, formats[i])
			r := s.result("gemm/weights", shape, eng.Threads(), eng.ISA().String())
			r.BytesPerStep = float64(bytes + 4*len(all[i].Scales))
			r.GBPerS = r.BytesPerStep / r.MSMedian / 1e6
			r.PeakGBPerS = median(s.peaks) / 1e9
			o.Emit(r)
		}
	}
	return nil
}

// randomWeights returns a matrix in a format. It repeats some numbers, since drawing all would take longer than measuring.
func randomWeights(d run.DType, bytes int) *nn.Param {
	const drawn = 64 * weightsColumns
	some := randomFloats(drawn)
	switch d {
	case run.BFloat16:
		half := make([]uint16, drawn)
		bfloat16.Round(half, some)
		w := repeated(half, bytes/2)
		return &nn.Param{Shape: []int{len(w) / weightsColumns, weightsColumns}, BF16: w}
	case run.Int8:
		narrow, scales := make([]int8, drawn), make([]float32, drawn/weightsColumns)
		quantize.Matrix(narrow, scales, some, weightsColumns)
		w := repeated(narrow, bytes)
		rows := len(w) / weightsColumns
		return &nn.Param{Shape: []int{rows, weightsColumns}, Int8: w, Scales: repeated(scales, rows)}
	}
	w := repeated(some, bytes/4)
	return &nn.Param{Shape: []int{len(w) / weightsColumns, weightsColumns}, Data: w}
}

// repeated returns n elements that repeat some.
func repeated[T any](some []T, n int) []T {
	all := make([]T, n)
	for i := 0; i < n; i += len(some) {
		copy(all[i:], some)
	}
	return all
}
