package kernel

import "github.com/calm-go/calm/nn/random"

// Uniform is [random.Uniform]. All instruction sets give the same numbers.
func (s ISA) Uniform(dst []float32, st random.Stream, offset int, lo, hi float32) {
	if s == Portable {
		random.Uniform(dst, st, offset, lo, hi)
		return
	}
	scale, limit := random.UniformScale(lo, hi)
	s.fill(dst, st, offset, draw{kind: drawUniform, a: scale, b: lo, limit: limit})
}

// Normal is [random.Normal]. Instruction sets agree to rounding.
func (s ISA) Normal(dst []float32, st random.Stream, offset int) {
	if s == Portable {
		random.Normal(dst, st, offset)
		return
	}
	s.fill(dst, st, offset, draw{kind: drawNormal})
}

// Bernoulli is [random.Bernoulli]. All instruction sets give the same numbers.
func (s ISA) Bernoulli(dst []float32, st random.Stream, offset int, p, value float32) {
	if s == Portable {
		random.Bernoulli(dst, st, offset, p, value)
		return
	}
	s.fill(dst, st, offset, draw{kind: drawBernoulli, a: value, below: random.BernoulliBelow(p)})
}

// Integers is [random.Integers]. All instruction sets give the same numbers.
func (s ISA) Integers(dst []float32, st random.Stream, offset, n int) {
	s.Uniform(dst, st, offset, 0, float32(n))
	random.Floor(dst)
}

// draw says how random bits become numbers.
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

// fill writes the numbers offset, offset+1, ...; a group that dst holds only in part is made in a buffer.
func (s ISA) fill(dst []float32, st random.Stream, offset int, d draw) {
	random.CheckRange(offset, len(dst))
	if len(dst) == 0 {
		return
	}
	const groupSize = random.GroupSize
	r := st.Counter()
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

// groups fills dst with whole groups, the first being group number first.
func (s ISA) groups(dst []float32, r *random.Counter, first int, d draw) {
	if len(dst) == 0 {
		return
	}
	r[0] = uint32(first * random.GroupBlocks)
	switch {
	case d.kind == drawUniform && s == AVX512:
		uniformAVX512(dst, r, d.a, d.b, d.limit)
	case d.kind == drawUniform:
		uniformAVX2(dst, r, d.a, d.b, d.limit)
	case d.kind == drawNormal && s == AVX512:
		normalAVX512(dst, r)
	case d.kind == drawNormal:
		normalAVX2(dst, r)
	case s == AVX512:
		bernoulliAVX512(dst, r, d.below, d.a)
	default:
		bernoulliAVX2(dst, r, d.below, d.a)
	}
}
