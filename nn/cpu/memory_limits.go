//go:build linux || darwin || freebsd || netbsd

package cpu

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// limited returns how many bytes of memory the process's resource limits allow, or infinity.
func limited() float64 {
	have := math.Inf(1)
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_AS, &limit) == nil && limit.Cur != unix.RLIM_INFINITY {
		have = max(0, float64(limit.Cur)-addressSpace())
	}
	if unix.Getrlimit(unix.RLIMIT_DATA, &limit) == nil && limit.Cur != unix.RLIM_INFINITY {
		have = min(have, float64(limit.Cur))
	}
	return have
}

// addressSpace returns how many bytes of address space the process has taken already: Go's runtime reserves far more than it
// uses. It returns 0 where the system does not say.
func addressSpace() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	var pages float64
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(text), &pages); err != nil {
		return 0
	}
	return pages * float64(os.Getpagesize())
}
