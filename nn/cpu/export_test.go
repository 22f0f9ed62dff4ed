package cpu

import (
	"math"

	"github.com/calm-go/calm/internal/kernel"
)

// ISAOf returns the instruction set of kernels.
func ISAOf(set kernel.ISA) ISA { return ISA{true, set} }

// Implemented lists the operations in the engine's table.
func Implemented() (names []string) {
	for t := range operations {
		names = append(names, t.Elem().Name())
	}
	return names
}

// Poison fills the memory that operations share with NaN, and what threads keep between pieces.
func (p *Program) Poison() {
	nan := float32(math.NaN())
	for i := range p.arena {
		p.arena[i] = nan
	}
	for _, s := range p.eng.pool.scratch {
		for i := range s.buf {
			s.buf[i] = nan
		}
	}
}
