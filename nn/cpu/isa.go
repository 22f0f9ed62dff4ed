package cpu

import "github.com/calm-go/calm/internal/kernel"

// ISA is an instruction set that an engine computes with. Instruction sets round differently, so results are reproducible bit
// for bit on one of them only. The zero value stands for the best instruction set of the machine; [ISAs] returns the others.
type ISA struct {
	chosen bool // else the best
	set    kernel.ISA
}

// ISAs lists the instruction sets that this machine can run, slowest first: portable (Go code, on every machine), avx2 (with
// FMA) and avx512.
func ISAs() []ISA {
	var list []ISA
	for _, set := range kernel.Available() {
		list = append(list, ISA{true, set})
	}
	return list
}

// String returns the name: "portable", "avx2" or "avx512", and "best" for the zero value.
func (s ISA) String() string {
	if !s.chosen {
		return "best"
	}
	return s.set.String()
}

// kernels returns the instruction set of the kernels.
func (s ISA) kernels() kernel.ISA {
	if !s.chosen {
		return kernel.Best()
	}
	return s.set
}
