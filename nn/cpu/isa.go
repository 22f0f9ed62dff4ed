package cpu

import "github.com/calm-go/calm/internal/kernel"

// ISA is an instruction set that an engine computes with. Instruction sets round differently, so results are reproducible bit
// for bit on one of them only. The zero value stands for the best instruction set of the machine; [ISAs] returns the others.
type ISA struct{ name string }

// ISAs lists the instruction sets that this machine can run, slowest first: portable (Go code, on every machine), avx2 (with
// FMA) and avx512.
func ISAs() []ISA {
	var list []ISA
	for _, set := range kernel.Available() {
		list = append(list, ISA{set.String()})
	}
	return list
}

// String returns the name: "portable", "avx2" or "avx512", and "best" for the zero value.
func (s ISA) String() string {
	if s.name == "" {
		return "best"
	}
	return s.name
}

// set returns the instruction set of the kernels.
func (s ISA) set() kernel.ISA {
	if s.name == "" {
		return kernel.Best()
	}
	set, err := kernel.ParseISA(s.name)
	if err != nil {
		panic(err) // not reached: all values come from ISAs
	}
	return set
}
