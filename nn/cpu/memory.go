package cpu

import (
	"fmt"
	"sync"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Memory returns how many bytes of memory a process can have here: what the machine has, what its control group (that of a
// container) allows, or what its resource limits (ulimit -v, ulimit -d) allow, whichever is least; infinity where the system
// reports none.
var Memory = sync.OnceValue(func() float64 {
	have := limited()
	for _, ask := range []func() (uint64, error){memlimit.FromSystem, memlimit.FromCgroup} {
		if n, err := ask(); err == nil {
			have = min(have, float64(n))
		}
	}
	return have
})

// MemoryError is returned where something needs more memory than the process can have. Nothing was allocated.
type MemoryError struct {
	What       string  // what needs the memory
	Need, Have float64 // bytes
}

// Error says what needs how much memory, and how much there is, in 10^9 bytes.
func (e *MemoryError) Error() string {
	return fmt.Sprintf("%s: needs %.3g GB of memory, and this process can have %.3g GB", e.What, e.Need/1e9, e.Have/1e9)
}

// Enough returns a *MemoryError if the process can have less memory than that many bytes; see Memory. It does not ask
// how much is free, since that changes with the other programs on the machine.
func Enough(what string, bytes float64) error {
	if have := Memory(); bytes > have {
		return &MemoryError{what, bytes, have}
	}
	return nil
}
