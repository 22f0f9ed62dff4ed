package testkit

import (
	"runtime"
	"testing"
)

// Memory begins to count what is allocated, and returns the end of it: more than some bytes and 500 for each byte of input
// is an error.
func Memory(t testing.TB, input, some int) func() {
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
