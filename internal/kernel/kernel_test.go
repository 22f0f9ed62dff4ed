package kernel

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestRequiredISAs fails if an instruction set that CALM_REQUIRE_ISA names is missing. Otherwise its tests would be
// skipped silently.
func TestRequiredISAs(t *testing.T) {
	required := os.Getenv("CALM_REQUIRE_ISA")
	if required == "" {
		t.Skipf("CALM_REQUIRE_ISA is not set; this machine has %v", Available())
	}
	for name := range strings.SplitSeq(required, ",") {
		s, err := ParseISA(strings.TrimSpace(name))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(Available(), s) {
			t.Errorf("required instruction set %v is missing: have %v", s, Available())
		}
	}
}

// forEachISA runs f on every instruction set this machine has.
func forEachISA(t *testing.T, f func(t *testing.T, s ISA)) {
	t.Helper()
	for _, s := range Available() {
		t.Run("isa="+s.String(), func(t *testing.T) { f(t, s) })
	}
}

// A place is the position in memory of a test's slices.
type place struct {
	name string
	make func(n int) *buffer
}

// places are the alignments to test, and memory whose end must not be passed.
func places() []place {
	return []place{
		{"aligned", func(n int) *buffer { return heapBuffer(n, 0) }},
		{"unaligned", func(n int) *buffer { return heapBuffer(n, 3) }},
		{"page end", pageEndBuffer},
	}
}

// A buffer is a slice with guard words around it.
type buffer struct {
	all   []float32
	start int // of data in all
	data  []float32
	free  func()
}

const guardWords = 32 // two AVX-512 vectors

var guardValue = math.Float32frombits(0x7FA5A5A5) // a signalling NaN, which no computation returns

func heapBuffer(n, lead int) *buffer {
	return newBuffer(make([]float32, lead+n+2*guardWords), lead+guardWords, n, func() {})
}

func newBuffer(all []float32, start, n int, free func()) *buffer {
	for i := range all {
		all[i] = guardValue
	}
	return &buffer{all: all, start: start, data: all[start : start+n : start+n], free: free}
}

// intact reports whether the words around the slice are as they were.
func (b *buffer) intact() bool {
	for i, v := range b.all {
		outside := i < b.start || i >= b.start+len(b.data)
		if outside && math.Float32bits(v) != math.Float32bits(guardValue) {
			return false
		}
	}
	return true
}

// sameBits reports whether two slices are equal bit for bit, all NaNs being equal.
func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool {
		return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y
	})
}

func widen(x []float32) []float64 {
	w := make([]float64, len(x))
	for i, v := range x {
		w[i] = float64(v)
	}
	return w
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// testLengths are every length to two of the widest vectors and one more, and longer ones.
func testLengths() []int {
	lengths := []int{47, 64, 131, 1000}
	for n := range 34 {
		lengths = append(lengths, n)
	}
	return lengths
}
