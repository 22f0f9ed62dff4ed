// Package random makes counter-based random numbers: every number is a function of its stream and its index, so any part
// of a stream can be computed at any time, in any order, by any number of threads.
//
// The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). The functions here
// are portable Go and the definition of the numbers. Package internal/kernel has vectorised versions: the same numbers for
// uniform, Bernoulli and integer draws, the same up to rounding for normal ones.
package random

import (
	"fmt"
	"hash/fnv"
	"math/bits"
)

// Stream identifies a sequence of 2^34 random numbers. Philox maps a 128-bit counter under a 64-bit key to four 32-bit
// words. The key is Seed (low half first), the counter
//
//	word 0: block   word 1: Draw   words 2, 3: Step (low half first)
//
// so streams that differ in any field are independent.
type Stream struct {
	Seed uint64 // the seed of the run
	Draw uint32 // what is drawn: distinguishes the random tensors of one step, see ID
	Step uint64 // the training step, or the position in a text
}

// ID returns the Stream.Draw that belongs to a name: a hash, the same in every program.
func ID(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()
}

// GroupSize is how many numbers form a group of 16 blocks: number 16 w + b of a group is made of word w of its block b.
// So a vector of 8 or 16 lanes is one word of consecutive blocks, and the order does not depend on the width.
const GroupSize = 64

// GroupBlocks is the number of Philox blocks in a group.
const GroupBlocks = GroupSize / 4

// Size is how many numbers a stream has.
const Size = 1 << 34

// Uint32 returns the bits of which the number at index i is made. It panics unless i < Size.
func (st Stream) Uint32(i uint64) uint32 {
	checkIndex(i)
	words := st.block(uint32(i/GroupSize*GroupBlocks + i%GroupBlocks))
	return words[i%GroupSize/GroupBlocks]
}

// Float64 returns a uniform number in [0, 1) of 53 bits. It panics unless i < Size/2. It is made of the same bits as the
// stream's other numbers: draw one kind of numbers from a stream.
func (st Stream) Float64(i uint64) float64 {
	checkIndex(2 * i)
	words := st.block(uint32(i / 2))
	k := i % 2 * 2
	return float64((uint64(words[k])<<32|uint64(words[k+1]))>>11) * 0x1p-53
}

func checkIndex(i uint64) {
	if i >= Size {
		panic(fmt.Sprintf("random: index %d is past the end of the stream", i))
	}
}

// CheckRange panics unless the n numbers from index offset on are in a stream.
func CheckRange(offset, n int) {
	if offset < 0 {
		panic(fmt.Sprintf("random: offset %d is negative", offset))
	}
	if n > 0 {
		checkIndex(uint64(offset) + uint64(n) - 1)
	}
}

func (st Stream) block(b uint32) [4]uint32 {
	c := st.Counter()
	c[0] = b
	return philox(&c)
}

const (
	philoxRounds = 10
	philoxM0     = 0xD2511F53
	philoxM1     = 0xCD9E8D57
	philoxW0     = 0x9E3779B9
	philoxW1     = 0xBB67AE85
)

// Counter is the input of Philox: the four words of the counter, the block first, then two key words for each round.
type Counter = [4 + 2*philoxRounds]uint32

// Counter returns the counter of the stream's block 0, with its keys. Generators written in assembly start from it.
func (st Stream) Counter() (c Counter) {
	copy(c[:4], []uint32{0, st.Draw, uint32(st.Step), uint32(st.Step >> 32)})
	k0, k1 := uint32(st.Seed), uint32(st.Seed>>32)
	for r := 4; r < len(c); r += 2 {
		c[r], c[r+1] = k0, k1
		k0 += philoxW0
		k1 += philoxW1
	}
	return c
}

func philox(counter *Counter) [4]uint32 {
	c := [4]uint32(counter[:4])
	for r := 4; r < len(counter); r += 2 {
		h0, l0 := bits.Mul32(philoxM0, c[0])
		h1, l1 := bits.Mul32(philoxM1, c[2])
		c = [4]uint32{h1 ^ c[1] ^ counter[r], l1, h0 ^ c[3] ^ counter[r+1], l0}
	}
	return c
}
