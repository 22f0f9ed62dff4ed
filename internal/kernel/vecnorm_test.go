package kernel

// The statistics that the tests of the norms pass. The kernels do not check them.
const (
	testMean = .3
	testRstd = 1.2
)

func normCases() []vecCase {
	return []vecCase{
		{name: "RMSNorm", in: 2, out: 1, tol: 1e-6, span: 1,
			run:  func(s ISA, out, in [][]float32) { s.RMSNorm(out[0], in[0], in[1], testRstd) },
			want: each(func(out, in []float64) { out[0] = in[0] * testRstd * in[1] })},
		{name: "LayerNorm", in: 3, out: 1, tol: 1e-6, span: 1,
			run:  func(s ISA, out, in [][]float32) { s.LayerNorm(out[0], in[0], in[1], in[2], testMean, testRstd) },
			want: each(func(out, in []float64) { out[0] = (in[0]-testMean)*testRstd*in[1] + in[2] })},
		{name: "LayerNorm plain", in: 1, out: 1, tol: 1e-6, span: 1,
			run:  func(s ISA, out, in [][]float32) { s.LayerNorm(out[0], in[0], nil, nil, testMean, testRstd) },
			want: each(func(out, in []float64) { out[0] = (in[0] - testMean) * testRstd })},
		{name: "RMSNormGrad", in: 3, out: 2, add: true, row: true, tol: 1e-6, span: 1,
			run: func(s ISA, out, in [][]float32) { s.RMSNormGrad(out[0], out[1], in[0], in[1], in[2], testRstd) },
			want: func(out, in [][]float64) {
				x, w, dy, d := in[0], in[1], in[2], float64(len(in[0]))
				dot := dot64(x, w, dy)
				for i := range x {
					out[0][i] = testRstd*w[i]*dy[i] - x[i]*testRstd*testRstd*testRstd/d*dot
					out[1][i] += dy[i] * x[i] * testRstd
				}
			}},
		{name: "LayerNormGrad", in: 3, out: 3, add: true, row: true, tol: 1e-6, span: 1,
			run: func(s ISA, out, in [][]float32) {
				s.LayerNormGrad(out[0], out[1], out[2], in[0], in[1], in[2], testMean, testRstd)
			},
			want: func(out, in [][]float64) { layerNormGrad64(out, in[0], in[1], in[2]) }},
		{name: "LayerNormGrad plain", in: 2, out: 1, row: true, tol: 1e-6, span: 1,
			run: func(s ISA, out, in [][]float32) {
				s.LayerNormGrad(out[0], nil, nil, in[0], nil, in[1], testMean, testRstd)
			},
			want: func(out, in [][]float64) {
				ones := make([]float64, len(in[0]))
				for i := range ones {
					ones[i] = 1
				}
				spare := make([]float64, len(ones))
				layerNormGrad64([][]float64{out[0], spare, spare}, in[0], ones, in[1])
			}},
	}
}

func layerNormGrad64(out [][]float64, x, w, dy []float64) {
	d := float64(len(x))
	var sum, dot float64
	for i := range x {
		g, h := w[i]*dy[i], (x[i]-testMean)*testRstd
		sum += g
		dot += g * h
	}
	for i := range x {
		g, h := w[i]*dy[i], (x[i]-testMean)*testRstd
		out[0][i] = testRstd * (g - sum/d - h*dot/d)
		out[1][i] += dy[i] * h
		out[2][i] += dy[i]
	}
}
