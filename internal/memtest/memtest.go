// Package memtest tests how much memory a reader of untrusted bytes allocates. It imports no package of calm, so that all of them
// can use it.
package memtest

import (
	"runtime"
	"testing"
)

// Within starts to count allocated bytes. The function that it returns ends the count: it reports an error if more than some
// bytes, plus 500 for each byte of input, were allocated.
func Within(t testing.TB, input, some int) func() {
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	return func() {
		t.Helper()
		var after runtime.MemStats
		runtime.ReadMemStats(&after)
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(some+500*input); got > limit {
			t.Errorf("%d bytes of input took %d bytes of memory", input, got)
		}
	}
}
