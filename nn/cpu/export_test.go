package cpu

import "math"

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
