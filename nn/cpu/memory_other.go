//go:build !(linux || darwin || freebsd || netbsd)

package cpu

import "math"

// limited returns infinity: the system has no resource limits for memory.
func limited() float64 { return math.Inf(1) }
