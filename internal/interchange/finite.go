package interchange

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/calm-go/calm/internal/checkpoint"
	"github.com/calm-go/calm/internal/plural"
)

// notFinite is the set of the tensors that have NaN or infinity among their numbers.
type notFinite map[string]bool

// watch returns the tensor s, which is added to the set when such a number is read.
func (n notFinite) watch(s checkpoint.Stream) checkpoint.Stream {
	each := s.Each
	s.Each = func(use func([]byte) error) error {
		return each(func(piece []byte) error {
			if !n[s.Name] && !finite(s.DType, piece) {
				n[s.Name] = true
			}
			return use(piece)
		})
	}
	return s
}

// among returns a clause that names the tensors, of that many that were read, or "" if all numbers are finite.
func (n notFinite) among(tensors int) string {
	var names []string
	for name := range n {
		names = append(names, name)
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	verb := "have"
	if len(names) == 1 {
		verb = "has"
	}
	return fmt.Sprintf("%d of %s %s NaN or infinity among the weights: %s", len(names), plural.Count(tensors, "tensor"), verb, listed(names))
}

// exponents are, for as many numbers as fit 64 bits, the bits of their exponents and the lowest of these bits.
var exponents = map[checkpoint.DType]struct{ all, lowest uint64 }{
	checkpoint.F32:  {0x7f800000_7f800000, 0x00800000_00800000},
	checkpoint.BF16: {0x7f80_7f80_7f80_7f80, 0x0080_0080_0080_0080},
	checkpoint.F16:  {0x7c00_7c00_7c00_7c00, 0x0400_0400_0400_0400},
}

// finite reports whether no number of a piece is NaN or infinite, which is to say that no exponent has all bits set. The sum of an
// exponent with its lowest bit reaches the sign's place just then. Several numbers are added at a time; no sum reaches the next.
func finite(d checkpoint.DType, piece []byte) bool {
	e := exponents[d]
	var sums uint64
	for ; len(piece) >= 8; piece = piece[8:] {
		sums |= binary.LittleEndian.Uint64(piece)&e.all + e.lowest
	}
	var rest [8]byte
	copy(rest[:], piece)
	sums |= binary.LittleEndian.Uint64(rest[:])&e.all + e.lowest
	return sums&(e.all+e.lowest) == 0
}
