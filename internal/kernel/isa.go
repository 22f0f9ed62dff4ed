// Package kernel holds the single-threaded inner loops of the CPU engine: matrix-product micro-kernels, vectorised
// elementwise functions and reductions, conversions of bfloat16 and int8, and counter-based random numbers. Conversions and
// random numbers are defined by packages internal/bfloat16, internal/quantize and nn/random, whose functions are their portable
// twins.
//
// Every kernel is a method of [ISA], the instruction set to run it on, so that one process can run all instruction sets
// of its machine. The portable Go twin of a kernel is its definition; the assembly agrees with it to rounding. The
// wrappers check lengths, the assembly trusts them. Nothing here allocates or starts goroutines.
package kernel

import (
	"fmt"
	"os"

	"golang.org/x/sys/cpu"
)

// ISA is an instruction set that kernels can run on. Sums may be ordered differently on different sets, so results are
// reproducible bit for bit on one set only.
type ISA uint8

const (
	Portable ISA = iota // Go, on every platform
	AVX2                // AVX2 and FMA, 8 float32 lanes
	AVX512              // AVX-512 F, DQ, BW and VL, 16 float32 lanes
)

var isaNames = [...]string{Portable: "portable", AVX2: "avx2", AVX512: "avx512"}

// String returns the name that ParseISA reads.
func (s ISA) String() string {
	if int(s) < len(isaNames) {
		return isaNames[s]
	}
	return fmt.Sprintf("ISA(%d)", uint8(s))
}

// ParseISA returns the instruction set called name: portable, avx2 or avx512.
func ParseISA(name string) (ISA, error) {
	for i, n := range isaNames {
		if n == name {
			return ISA(i), nil
		}
	}
	return 0, fmt.Errorf("unknown instruction set %q: have portable, avx2, avx512", name)
}

// Available lists the instruction sets this machine can run, slowest first; Portable is always there. The environment
// variable CALM_ASSUME_ISA names one more that is taken on trust, for running under an emulator that the processor's
// feature flags do not show.
func Available() []ISA {
	sets := []ISA{Portable}
	if !haveAssembly {
		return sets
	}
	assumed, err := ParseISA(os.Getenv("CALM_ASSUME_ISA"))
	if err != nil {
		assumed = Portable
	}
	if assumed >= AVX2 || cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		sets = append(sets, AVX2)
	}
	if assumed >= AVX512 || cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL {
		sets = append(sets, AVX512)
	}
	return sets
}

// Best returns the fastest instruction set this machine has.
func Best() ISA {
	sets := Available()
	return sets[len(sets)-1]
}
