package kernel

import "fmt"

//go:generate go -C _asm run ./vec -out ../vec_amd64.s -stubs ../vec_stubs_amd64.go -other ../vec_other.go -pkg kernel

// Add sets dst = a + b.
func (s ISA) Add(dst, a, b []float32) {
	checkLen("Add", "a", len(a), len(dst))
	checkLen("Add", "b", len(b), len(dst))
	switch s {
	case AVX512:
		addAVX512(dst, a, b)
	case AVX2:
		addAVX2(dst, a, b)
	default:
		addGo(dst, a, b)
	}
}

// Mul sets dst = a * b.
func (s ISA) Mul(dst, a, b []float32) {
	checkLen("Mul", "a", len(a), len(dst))
	checkLen("Mul", "b", len(b), len(dst))
	switch s {
	case AVX512:
		mulAVX512(dst, a, b)
	case AVX2:
		mulAVX2(dst, a, b)
	default:
		mulGo(dst, a, b)
	}
}

// MulAdd sets dst += a * b.
func (s ISA) MulAdd(dst, a, b []float32) {
	checkLen("MulAdd", "a", len(a), len(dst))
	checkLen("MulAdd", "b", len(b), len(dst))
	switch s {
	case AVX512:
		mulAddAVX512(dst, a, b)
	case AVX2:
		mulAddAVX2(dst, a, b)
	default:
		mulAddGo(dst, a, b)
	}
}

// MulAddTo sets dst = mean + std * eps, the reparameterised draw from a diagonal Gaussian.
func (s ISA) MulAddTo(dst, mean, std, eps []float32) {
	checkLen("MulAddTo", "mean", len(mean), len(dst))
	checkLen("MulAddTo", "std", len(std), len(dst))
	checkLen("MulAddTo", "eps", len(eps), len(dst))
	switch s {
	case AVX512:
		mulAddToAVX512(dst, mean, std, eps)
	case AVX2:
		mulAddToAVX2(dst, mean, std, eps)
	default:
		mulAddToGo(dst, mean, std, eps)
	}
}

// Axpy sets dst += alpha * x.
func (s ISA) Axpy(dst []float32, alpha float32, x []float32) {
	checkLen("Axpy", "x", len(x), len(dst))
	switch s {
	case AVX512:
		axpyAVX512(dst, alpha, x)
	case AVX2:
		axpyAVX2(dst, alpha, x)
	default:
		axpyGo(dst, alpha, x)
	}
}

// Scale sets dst = alpha * x.
func (s ISA) Scale(dst []float32, alpha float32, x []float32) {
	checkLen("Scale", "x", len(x), len(dst))
	switch s {
	case AVX512:
		scaleAVX512(dst, alpha, x)
	case AVX2:
		scaleAVX2(dst, alpha, x)
	default:
		scaleGo(dst, alpha, x)
	}
}

func addGo(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func mulGo(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

func mulAddGo(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] += a[i] * b[i]
	}
}

func mulAddToGo(dst, mean, std, eps []float32) {
	mean, std, eps = mean[:len(dst)], std[:len(dst)], eps[:len(dst)]
	for i := range dst {
		dst[i] = mean[i] + std[i]*eps[i]
	}
}

func axpyGo(dst []float32, alpha float32, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += alpha * x[i]
	}
}

func scaleGo(dst []float32, alpha float32, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = alpha * x[i]
	}
}

// checkLen panics unless the argument called name has the length the kernel op needs.
func checkLen(op, name string, have, want int) {
	if have != want {
		panicLen(op, name, have, want)
	}
}

//go:noinline
func panicLen(op, name string, have, want int) {
	panic(fmt.Sprintf("kernel: %s: %s has length %d, want %d", op, name, have, want))
}
