package kernel

import (
	"fmt"
	"math"
	"math/bits"
)

// Stream is a sequence of random numbers of which any part can be had at any time: the number at index i is a function of
// the stream and i alone (Philox4x32-10; Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). The
// generator maps a 128-bit counter under a 64-bit key to four words. The key is Seed (low half first), the counter
//
//	word 0: block   word 1: Draw   words 2, 3: Step (low half first)
//
// so streams that differ in any field have nothing in common, and one stream holds 2^34 numbers.
type Stream struct {
	Seed uint64
	Draw uint32 // what is drawn: tells the random inputs of one step apart
	Step uint64 // the training step, the position in a text
}

// Numbers come in groups of 64 made of 16 blocks: number 16 w + b of a group is word w of its block b. So a vector of 8
// or 16 lanes is one word of neighbouring blocks, and the order does not depend on the width.
const (
	groupSize   = 64
	groupBlocks = groupSize / 4
	streamSize  = 1 << 34
)

// Uint32 returns the bits from which the number at index i < 2^34 is made.
func (st Stream) Uint32(i uint64) uint32 {
	checkIndex(i)
	words := st.block(uint32(i/groupSize*groupBlocks + i%groupBlocks))
	return words[i%groupSize/groupBlocks]
}

// Float64 returns a uniform number in [0, 1) of 53 bits, for i < 2^33. It is made of the same bits as the stream's other
// numbers: use one kind on a stream.
func (st Stream) Float64(i uint64) float64 {
	checkIndex(2 * i)
	words := st.block(uint32(i / 2))
	k := i % 2 * 2
	return float64((uint64(words[k])<<32|uint64(words[k+1]))>>11) * 0x1p-53
}

func checkIndex(i uint64) {
	if i >= streamSize {
		panic(fmt.Sprintf("kernel: random index %d is past the end of the stream", i))
	}
}

func (st Stream) block(b uint32) [4]uint32 {
	key := st.keys()
	return philox([4]uint32{b, st.Draw, uint32(st.Step), uint32(st.Step >> 32)}, &key)
}

const (
	philoxRounds = 10
	philoxM0     = 0xD2511F53
	philoxM1     = 0xCD9E8D57
	philoxW0     = 0x9E3779B9
	philoxW1     = 0xBB67AE85
)

// keys returns the two key words of each round in turn.
func (st Stream) keys() (keys [2 * philoxRounds]uint32) {
	k0, k1 := uint32(st.Seed), uint32(st.Seed>>32)
	for r := 0; r < len(keys); r += 2 {
		keys[r], keys[r+1] = k0, k1
		k0 += philoxW0
		k1 += philoxW1
	}
	return keys
}

func philox(c [4]uint32, keys *[2 * philoxRounds]uint32) [4]uint32 {
	for r := 0; r < len(keys); r += 2 {
		h0, l0 := bits.Mul32(philoxM0, c[0])
		h1, l1 := bits.Mul32(philoxM1, c[2])
		c = [4]uint32{h1 ^ c[1] ^ keys[r], l1, h0 ^ c[3] ^ keys[r+1], l0}
	}
	return c
}

// Uniform fills dst with the stream's numbers from index offset on, uniform in [lo, hi): multiples of 2^-24 of the
// interval, the same on all instruction sets.
func (s ISA) Uniform(dst []float32, st Stream, offset int, lo, hi float32) {
	if !(lo < hi) || math.IsInf(float64(hi-lo), 0) {
		panic(fmt.Sprintf("kernel: Uniform: the interval [%v, %v) is empty or endless", lo, hi))
	}
	d := draw{kind: drawUniform, a: (hi - lo) * 0x1p-24, b: lo, limit: math.Nextafter32(hi, lo)}
	s.fill(dst, st, offset, d)
}

// Normal fills dst with the stream's numbers from index offset on, normal with mean 0 and variance 1 (Box-Muller; no
// absolute value exceeds 6.67). Instruction sets agree to rounding.
func (s ISA) Normal(dst []float32, st Stream, offset int) {
	s.fill(dst, st, offset, draw{kind: drawNormal})
}

// Bernoulli fills dst with the stream's numbers from index offset on: value with probability p (to 2^-24), else 0. For
// dropout that keeps with probability p, value is 1/p.
func (s ISA) Bernoulli(dst []float32, st Stream, offset int, p, value float32) {
	if !(0 <= p && p <= 1) {
		panic(fmt.Sprintf("kernel: Bernoulli: the probability %v is not in [0, 1]", p))
	}
	s.fill(dst, st, offset, draw{kind: drawBernoulli, a: value, below: uint32(math.Ceil(float64(p) * (1 << 24)))})
}

// draw says what becomes of the bits.
type draw struct {
	kind  drawKind
	a, b  float32
	limit float32
	below uint32
}

type drawKind uint8

const (
	drawUniform   drawKind = iota // min(a * (bits>>8) + b, limit)
	drawNormal                    // words 0, 1 and words 2, 3 of a block give a pair each
	drawBernoulli                 // a where bits>>8 < below, else 0
)

// fill writes the numbers offset, offset+1, ...; groups that dst holds in part go through a buffer.
func (s ISA) fill(dst []float32, st Stream, offset int, d draw) {
	if len(dst) == 0 {
		return
	}
	if offset < 0 {
		panic(fmt.Sprintf("kernel: random offset %d is negative", offset))
	}
	checkIndex(uint64(offset) + uint64(len(dst)) - 1)
	r := st.rounds()
	var buffer [groupSize]float32
	if head := offset % groupSize; head != 0 {
		s.groups(buffer[:], &r, offset/groupSize, d)
		n := copy(dst, buffer[head:])
		dst, offset = dst[n:], offset+n
	}
	whole := len(dst) &^ (groupSize - 1)
	s.groups(dst[:whole], &r, offset/groupSize, d)
	if whole < len(dst) {
		s.groups(buffer[:], &r, (offset+whole)/groupSize, d)
		copy(dst[whole:], buffer[:])
	}
}

// rounds is what a generator kernel knows of a stream: the counter of a block and, behind it, the keys of the rounds.
type rounds = [4 + 2*philoxRounds]uint32

func (st Stream) rounds() (r rounds) {
	keys := st.keys()
	copy(r[:4], []uint32{0, st.Draw, uint32(st.Step), uint32(st.Step >> 32)})
	copy(r[4:], keys[:])
	return r
}

// groups fills dst with whole groups, the first being group number first.
func (s ISA) groups(dst []float32, r *rounds, first int, d draw) {
	if len(dst) == 0 {
		return
	}
	r[0] = uint32(first * groupBlocks)
	switch d.kind {
	case drawUniform:
		s.uniform(dst, r, d)
	case drawNormal:
		s.normal(dst, r)
	case drawBernoulli:
		s.bernoulli(dst, r, d)
	}
}

func (s ISA) uniform(dst []float32, r *rounds, d draw) {
	switch s {
	case AVX512:
		uniformAVX512(dst, r, d.a, d.b, d.limit)
	case AVX2:
		uniformAVX2(dst, r, d.a, d.b, d.limit)
	default:
		uniformGo(dst, r, d.a, d.b, d.limit)
	}
}

func (s ISA) normal(dst []float32, r *rounds) {
	switch s {
	case AVX512:
		normalAVX512(dst, r)
	case AVX2:
		normalAVX2(dst, r)
	default:
		normalGo(dst, r)
	}
}

func (s ISA) bernoulli(dst []float32, r *rounds, d draw) {
	switch s {
	case AVX512:
		bernoulliAVX512(dst, r, d.below, d.a)
	case AVX2:
		bernoulliAVX2(dst, r, d.below, d.a)
	default:
		bernoulliGo(dst, r, d.below, d.a)
	}
}

func uniformGo(dst []float32, r *rounds, a, b, limit float32) {
	c, keys := [4]uint32(r[:]), (*[2 * philoxRounds]uint32)(r[4:])
	for ; len(dst) >= groupSize; dst = dst[groupSize:] {
		for i := range groupBlocks {
			for w, bits := range philox(c, keys) {
				dst[w*groupBlocks+i] = min(float32(a*float32(bits>>8))+b, limit)
			}
			c[0]++
		}
	}
}

func bernoulliGo(dst []float32, r *rounds, below uint32, value float32) {
	c, keys := [4]uint32(r[:]), (*[2 * philoxRounds]uint32)(r[4:])
	for ; len(dst) >= groupSize; dst = dst[groupSize:] {
		for i := range groupBlocks {
			for w, bits := range philox(c, keys) {
				v := float32(0)
				if bits>>8 < below {
					v = value
				}
				dst[w*groupBlocks+i] = v
			}
			c[0]++
		}
	}
}

func normalGo(dst []float32, r *rounds) {
	c, keys := [4]uint32(r[:]), (*[2 * philoxRounds]uint32)(r[4:])
	for ; len(dst) >= groupSize; dst = dst[groupSize:] {
		for i := range groupBlocks {
			x := philox(c, keys)
			dst[i], dst[groupBlocks+i] = boxMuller(x[0], x[1])
			dst[2*groupBlocks+i], dst[3*groupBlocks+i] = boxMuller(x[2], x[3])
			c[0]++
		}
	}
}

// The logarithm: u = 2^e m with m in [sqrt(1/2), sqrt(2)) and f = m - 1, then ln m = f - f^2/2 + f^3 P(f), P minimax in
// relative error (3.5e-8). Sine and cosine: of 2 pi t with |t| <= 1/8, minimax (3e-9 relative, 3e-8 absolute). The
// logarithm's coefficients are multiplied by -2, which is what the radius sqrt(-2 ln u) wants. The generator of the
// assembly reads the constants from this file.
const (
	logRootHalf = 0x3F3504F3 // bits of sqrt(1/2)
	logE        = -1.38629436
	logC0       = -2 * 0.3333404
	logC1       = 2 * 0.25000769
	logC2       = -2 * 0.19957143
	logC3       = 2 * 0.16594796
	logC4       = -2 * 0.15002501
	logC5       = 2 * 0.14146441
	logC6       = -2 * 0.0826213

	sinC1 = 6.2831855
	sinC3 = -41.34166
	sinC5 = 81.592346
	sinC7 = -75.3933
	cosC2 = -19.739168
	cosC4 = 64.923225
	cosC6 = -83.66557
)

// boxMuller makes two independent normal numbers of 64 random bits: x gives the radius, y the angle.
func boxMuller(x, y uint32) (n0, n1 float32) {
	u := float32(float32(int32(x>>1))*0x1p-31) + 0x1p-32 // (0, 1]
	e := int32(math.Float32bits(u)-logRootHalf) >> 23
	f := math.Float32frombits(math.Float32bits(u)-uint32(e)<<23) - 1
	p := (((((logC6*f+logC5)*f+logC4)*f+logC3)*f+logC2)*f+logC1)*f + logC0
	square := (p*f+1)*(f*f) + (float32(e)*logE - 2*f)
	radius := float32(math.Sqrt(float64(square)))

	// The nearest quarter turn is the top two bits of y + 1/8 turn; what remains lies within 1/8 turn.
	q := y + 1<<29
	t := float32(int32(y-q&^(1<<30-1))) * 0x1p-32
	z := t * t
	sin := (((sinC7*z+sinC5)*z+sinC3)*z + sinC1) * t
	cos := ((cosC6*z+cosC4)*z+cosC2)*z + 1
	if q>>30&1 != 0 {
		sin, cos = cos, sin
	}
	sin = math.Float32frombits(math.Float32bits(sin) ^ q&(1<<31))
	cos = math.Float32frombits(math.Float32bits(cos) ^ (q+1<<30)&(1<<31))
	return radius * cos, radius * sin
}
