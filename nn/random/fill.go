package random

import (
	"fmt"
	"math"
)

// Uniform fills dst with the stream's numbers from index offset on, uniform in [lo, hi): lo plus a multiple of 2^-24 of
// the interval's length. It panics for an interval that is empty or infinite, and past the end of the stream.
func Uniform(dst []float32, st Stream, offset int, lo, hi float32) {
	scale, limit := UniformScale(lo, hi)
	fill(dst, st, offset, draw{kind: uniform, a: scale, b: lo, limit: limit})
}

// UniformScale returns the constants of a generator of uniform numbers in [lo, hi): the bits u give the number
// min(scale * (u>>8) + lo, limit), with the product rounded before the sum.
func UniformScale(lo, hi float32) (scale, limit float32) {
	if !(lo < hi) || math.IsInf(float64(hi-lo), 0) {
		panic(fmt.Sprintf("random: the interval [%v, %v) is empty or infinite", lo, hi))
	}
	return (hi - lo) * 0x1p-24, math.Nextafter32(hi, lo)
}

// Normal fills dst with the stream's numbers from index offset on, normal with mean 0 and variance 1 (Box-Muller; no
// absolute value exceeds 6.67). It panics past the end of the stream.
func Normal(dst []float32, st Stream, offset int) {
	fill(dst, st, offset, draw{kind: normal})
}

// Bernoulli fills dst with the stream's numbers from index offset on: value with probability p (rounded up to a multiple
// of 2^-24), else 0. Dropout that keeps with probability p takes the value 1/p. It panics unless 0 <= p <= 1, and past the
// end of the stream.
func Bernoulli(dst []float32, st Stream, offset int, p, value float32) {
	fill(dst, st, offset, draw{kind: bernoulli, a: value, below: BernoulliBelow(p)})
}

// BernoulliBelow returns the threshold of a generator: the bits u give the value if u>>8 is below it, else 0.
func BernoulliBelow(p float32) uint32 {
	if !(0 <= p && p <= 1) {
		panic(fmt.Sprintf("random: the probability %v is not in [0, 1]", p))
	}
	return uint32(math.Ceil(float64(p) * (1 << 24)))
}

// Integers fills dst with the stream's numbers from index offset on, uniform on the integers from 0 to n-1, 1 <= n <=
// 2^24: Uniform(0, n) without the fraction. It panics past the end of the stream.
func Integers(dst []float32, st Stream, offset, n int) {
	Uniform(dst, st, offset, 0, float32(n))
	Floor(dst)
}

// Floor rounds every element down to an integer.
func Floor(dst []float32) {
	for i, v := range dst {
		dst[i] = float32(math.Floor(float64(v)))
	}
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
	uniform   drawKind = iota // min(a * (bits>>8) + b, limit)
	normal                    // words 0, 1 and words 2, 3 of a block give a pair each
	bernoulli                 // a where bits>>8 < below, else 0
)

// fill writes the numbers offset, offset+1, ..., a group at a time.
func fill(dst []float32, st Stream, offset int, d draw) {
	CheckRange(offset, len(dst))
	c := st.Counter()
	c[0] = uint32(offset / GroupSize * GroupBlocks)
	var group [GroupSize]float32
	for first := offset % GroupSize; len(dst) > 0; first = 0 {
		switch d.kind {
		case uniform:
			uniformGroup(&group, &c, d.a, d.b, d.limit)
		case normal:
			normalGroup(&group, &c)
		case bernoulli:
			bernoulliGroup(&group, &c, d.below, d.a)
		}
		dst = dst[copy(dst, group[first:]):]
	}
}

// uniformGroup, normalGroup and bernoulliGroup make the group that begins at block c[0], and leave c at the next.
func uniformGroup(dst *[GroupSize]float32, c *Counter, a, b, limit float32) {
	for i := range GroupBlocks {
		for w, bits := range philox(c) {
			dst[w*GroupBlocks+i] = min(float32(a*float32(bits>>8))+b, limit)
		}
		c[0]++
	}
}

func normalGroup(dst *[GroupSize]float32, c *Counter) {
	for i := range GroupBlocks {
		x := philox(c)
		dst[i], dst[GroupBlocks+i] = boxMuller(x[0], x[1])
		dst[2*GroupBlocks+i], dst[3*GroupBlocks+i] = boxMuller(x[2], x[3])
		c[0]++
	}
}

func bernoulliGroup(dst *[GroupSize]float32, c *Counter, below uint32, value float32) {
	for i := range GroupBlocks {
		for w, bits := range philox(c) {
			v := float32(0)
			if bits>>8 < below {
				v = value
			}
			dst[w*GroupBlocks+i] = v
		}
		c[0]++
	}
}
