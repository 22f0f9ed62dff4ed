// Package memtest bounds what a reader of untrusted bytes allocates. It imports nothing, so that every package can use it.
package memtest

import (
	"runtime"
	"testing"
)

// Within begins to count what is allocated, and returns the end of it: more than some bytes and 500 for each byte of input
// is an error.
func Within(t testing.TB, input, some int) func() {
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	return func() {
		t.Helper()
		var after runtime.MemStats
		runtime.ReadMemStats(&after)
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(some+500*input); got > most {
			t.Errorf("%d bytes of input took %d bytes of memory", input, got)
		}
	}
}
